"""The language of reservations: its commands, queries, events, replies, and the booking and the hotel that they speak
of."""
