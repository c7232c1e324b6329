"""The interfaces between the parts: message bus, journal, event log, cursors, inbox, outbox, views."""
