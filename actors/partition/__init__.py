"""A partition: its queue, its host, its router, and how its hotels recover from the journal."""
