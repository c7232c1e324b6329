"""The archive of all events: JSON-lines segments in a folder, or a file per event in a folder or at a URL."""
