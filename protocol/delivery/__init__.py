"""The messages of delivery: its events, and those about webhooks."""
