"""The pure domain: what a hotel decides, and what it is after an event. No actors, no I/O, no clock, no randomness."""
