"""The messages between a hotel and its rooms. Frozen, because messages between actors are not copied."""

import msgspec
from innkeeper.actors.reservations.rules.calendar import Claimed


class OpenRoom(msgspec.Struct, frozen=True, gc=False):
    """Hotel to a new room: its number, and the stays that hold it. `today` is the business date as an ordinal."""

    number: str
    today: int
    holders: tuple[Claimed, ...]


class Claim(msgspec.Struct, frozen=True, gc=False):
    """Hotel to room: release the nights of some bookings and claim those of some stays, all or none. Nights before
    `today` are over."""

    today: int
    releases: tuple[str, ...]
    claims: tuple[Claimed, ...]


class ClaimDone(msgspec.Struct, frozen=True, gc=False):
    """Room to hotel: the claim is accepted."""

    room: str


class ClaimRefused(msgspec.Struct, frozen=True, gc=False):
    """Room to hotel: another stay holds one of these nights; nothing was changed."""

    room: str
