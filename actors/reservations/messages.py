"""What a hotel and its rooms say to each other. Frozen, as messages between actors are not copied."""

import msgspec
from innkeeper.actors.reservations.rules.calendar import Claimed


class OpenRoom(msgspec.Struct, frozen=True, gc=False):
    """Hotel to a new room: who you are and who holds you."""

    number: str
    today: int
    holders: tuple[Claimed, ...]


class Claim(msgspec.Struct, frozen=True, gc=False):
    """Hotel to room: give back the nights of some bookings and take some stays, all or none. Nights before `today` are
    over."""

    today: int
    gives: tuple[str, ...]
    takes: tuple[Claimed, ...]


class ClaimDone(msgspec.Struct, frozen=True, gc=False):
    """Room to hotel: done."""

    room: str


class ClaimRefused(msgspec.Struct, frozen=True, gc=False):
    """Room to hotel: someone else holds one of these nights; nothing was done."""

    room: str
