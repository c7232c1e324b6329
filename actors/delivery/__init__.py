"""The actors of delivery: the writer of its own events."""
