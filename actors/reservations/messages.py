"""The messages between a hotel and its rooms. Frozen, because messages between actors are not copied."""

import msgspec
from innkeeper.actors.reservations.rules.rooms import RoomState
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.reservations.replies import RoomStays
from innkeeper.protocol.reservations.room_events import ClosureEvent


class OpenRoom(msgspec.Struct, frozen=True, gc=False):
    """Hotel to a new room: what the room knows, folded from the journal."""

    state: RoomState


class Claim(msgspec.Struct, frozen=True, gc=False):
    """Hotel to room: the events of a decision that change what the room holds, all or none. `today` is the business
    date as an ordinal; nights before it are over."""

    today: int
    events: tuple[BookingEvent | ClosureEvent, ...]


class ClaimDone(msgspec.Struct, frozen=True, gc=False):
    """Room to hotel: the claim is accepted."""


class ClaimRefused(msgspec.Struct, frozen=True, gc=False):
    """Room to hotel: another booking or a closure holds one of these nights; nothing was changed."""

    room: str
    holder: str


class TakeBack(msgspec.Struct, frozen=True, gc=False):
    """Hotel to room: the latest claim does not count, because another room has refused its own."""


class DescribeRoom(msgspec.Struct, frozen=True, gc=False):
    """Hotel to room: what do you hold from `today` on?"""

    today: int


class RoomDescribed(msgspec.Struct, frozen=True, gc=False):
    """Room to hotel: what the room holds."""

    stays: RoomStays
