"""What one part needs of another, as protocols: message bus, journal, event log, cursors, inbox, outbox, views."""
