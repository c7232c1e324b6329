"""The messages of notifications: notices, letters, and the terms on which a hotel writes to its guests."""
