"""The part of delivery that writes events of its own."""
