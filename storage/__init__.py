"""What is remembered: the data directory, the engines, and the proofs of what they hold. Imports protocol."""
