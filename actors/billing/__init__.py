"""The actors of billing: each hotel's ledger, and the handler that feeds it the events of reservations."""
