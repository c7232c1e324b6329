"""The rules of reservations, pure: what a hotel decides, and its state after an event. No actors, input, output,
clock or randomness; imports protocol only."""
