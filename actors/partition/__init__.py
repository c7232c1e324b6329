"""A partition: its queue, its host, its router, and the recovery of its hotels from the journal."""
