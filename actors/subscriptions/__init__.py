"""How subscribers follow the event logs: services, their tasks, and the buffer of recent events."""
