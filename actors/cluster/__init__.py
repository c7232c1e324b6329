"""Several processes: the supervisor, RPC between the parts, and routing between partitions."""
