"""Who decides: the desk of a partition, its hotels and their rooms. They talk only by messages, and do no I/O."""
