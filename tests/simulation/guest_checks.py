"""Checks that a guest has one set of contact data at all stays that can still take place."""

from collections.abc import Iterator, Mapping

from innkeeper.protocol.values.guests import GuestDetails, GuestKey, StoredGuest
from msgspec.structs import replace
from simulation.event_model import LIVE, EventModel


def contacts(model: EventModel, stored: Mapping[GuestKey, StoredGuest]) -> Iterator[str]:
    """Live bookings and entries of the waitlist have the contact data of the guest's newest version that is stored."""
    newest = {guest: key for key in sorted(stored) for guest in [key[0]]}
    waiting = {entry for hotel in model.auditor.hotels for entry in model.waiting(hotel)}
    for stay, key in model.guests_of_stays.items():
        if stay in waiting or (stay in model.bookings and model.bookings[stay].status in LIVE):
            has, has_newest = _contact(stored[key]), _contact(stored[newest[key[0]]])
            if has != has_newest:
                yield f"{stay} has the contact data {has}, but the guest's are {has_newest}"


def _contact(stored: StoredGuest) -> GuestDetails | None:
    """The details without the notes, which each stay has of its own."""
    return stored.guest.details and replace(stored.guest.details, notes="")
