"""The messages, values, ports and codecs that all parts share. Imports no other folder; every folder may import it."""
