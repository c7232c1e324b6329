"""The messages of reservations: commands, queries, events and replies; with its hotel, booking and waitlist."""
