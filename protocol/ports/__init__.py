"""The interfaces between the parts, as `typing.Protocol`s: message bus, journal, event log, cursors, inbox, outbox, views."""
