"""The public form of a closure: a room that is out of order or out of service for some nights."""

from datetime import date

import msgspec
from innkeeper.protocol.reservations.room_events import ClosureKind


class Closure(msgspec.Struct, frozen=True, gc=False):
    """A room is out of order or out of service on the nights [first, until). `reason` is what somebody wrote."""

    id: str
    room: str
    kind: ClosureKind
    first: date
    until: date
    reason: str = ""
