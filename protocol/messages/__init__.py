"""What all messages share: the recorded event and the refusals. Imports values and the contexts' events."""
