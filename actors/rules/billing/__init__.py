"""The pure domain of billing: what a hotel's ledger decides, and what it is after an event. As pure as the rest."""
