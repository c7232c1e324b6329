"""The actors of billing: each hotel's ledger, and the handler that sends it the events of reservations."""
