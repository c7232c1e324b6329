"""The bases of all messages, the recorded event and the shared refusals. Imports only `protocol.values`."""
