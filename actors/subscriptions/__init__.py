"""The processing of the event logs by subscribers: services, their tasks, and the buffer of recent events."""
