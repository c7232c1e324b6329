"""Several processes: parts and their ports, the supervisor, RPC, and routing between partitions."""
