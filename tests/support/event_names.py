"""A module that knows events by several names, in which a test looks for ways to tell them apart."""

from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.events import RoomMoved

__all__ = ["RoomMoved", "events"]
