"""The actors of notifications: the notifier that decides on notices, and the relay that sends them from the
outbox."""
