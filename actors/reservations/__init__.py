"""The actors of reservations: one for each hotel, and one for each room, which guards its own nights."""
