"""The messages of billing: commands, queries, events and replies; with its folios, terms and payments."""
