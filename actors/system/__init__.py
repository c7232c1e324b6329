"""The local actor system and the base class of all actors. Imports no other folder of actors."""
