"""The shared kernel: money, stays, text, instants, limits, and the names of the contexts. Imports only `protocol.messages.refusals`."""
