"""The command line: its options, and the commands that are clients of the HTTP API."""
