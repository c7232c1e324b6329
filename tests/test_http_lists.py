"""Lists, the log of events, and the manners of HTTP: versions, request ids and idempotency keys."""
