"""What operators do with a data directory: proofs over whole journals. Imports storage and protocol."""
