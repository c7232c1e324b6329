"""The language of delivery: its events, and the webhooks that it serves."""
