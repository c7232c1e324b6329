"""The rules of reservations, pure: what a hotel decides, and what it is after an event. No actors, input, output,
clock or chance; imports protocol alone."""
