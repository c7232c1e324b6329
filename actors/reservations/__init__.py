"""The actors of reservations: each hotel, and each room as the last authority on its own nights."""
