"""The rules of billing, pure: what a ledger decides, and its state after an event. Imports protocol only."""
