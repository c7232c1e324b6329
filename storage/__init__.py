"""Storage: the data directory, the database engines, and the auditors of their journals. Imports only protocol."""
