"""The rules of notifications, pure: which notices follow from an event. Imports protocol only."""
