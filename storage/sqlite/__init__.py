"""The storage ports in SQLite: journal, event log, cursors, inbox, outbox, endpoints, read models."""
