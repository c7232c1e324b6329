"""Every port in SQLite: journal, event log, cursors, inbox, outbox, endpoints, read models."""
