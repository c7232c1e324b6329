"""The storage ports in memory: for the simulation, for tests, and for a demo that leaves nothing on disk."""
