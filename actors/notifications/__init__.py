"""The actors and the service of notifications: the rules that decide on notices, and the relay that sends them from the
outbox."""
