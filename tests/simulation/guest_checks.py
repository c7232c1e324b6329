"""Checks that a guest has one set of contact data at all stays that can still take place, and that nothing is left of
one who is forgotten."""

from collections.abc import Iterator, Mapping, Set
from contextlib import suppress

import msgspec
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


class PersonalTexts:
    """The names, addresses and notes that each guest has ever had."""

    def __init__(self) -> None:
        self._seen: set[GuestKey] = set()
        self._texts: dict[str, set[str]] = {}

    def note(self, stored: Mapping[GuestKey, StoredGuest]) -> None:
        """Note those that are stored now."""
        for key in stored.keys() - self._seen:
            if (details := stored[key].guest.details) is not None:
                self._seen.add(key)
                self._texts.setdefault(key[0], set()).update({details.name, details.email or "", details.notes} - {""})

    def left_of(self, forgotten: Set[str], contents: object) -> Iterator[tuple[str, str]]:
        """What is left of these guests, which no other guest has too: each guest, and the text."""
        of_others = {text for guest, texts in self._texts.items() if guest not in forgotten for text in texts}
        found = {*_texts_in(contents)} - of_others
        for guest in sorted(forgotten & self._texts.keys()):
            for text in sorted(self._texts[guest] & found):
                yield guest, text


def _texts_in(value: object) -> Iterator[str]:
    """All texts of a value, also of what is packed in it."""
    match value:
        case str():
            yield value
        case bytes():
            with suppress(msgspec.DecodeError):
                yield from _texts_in(msgspec.msgpack.decode(value))
        case Mapping():
            yield from _texts_in([*value.items()])
        case msgspec.Struct():
            yield from _texts_in(msgspec.structs.astuple(value))
        case list() | tuple() | set() | frozenset():
            for part in value:
                yield from _texts_in(part)
