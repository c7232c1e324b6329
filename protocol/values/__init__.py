"""The shared kernel: money, stays, text, instants, limits, names of contexts. Imports only the shared refusals."""
