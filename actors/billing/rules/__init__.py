"""The rules of billing, pure: what a ledger decides, and what it is after an event. Imports protocol alone."""
