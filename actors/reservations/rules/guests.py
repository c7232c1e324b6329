"""Who a booking is for: a new guest, a known one, and what a change makes of the details.

A command that gives or changes details makes a new version of them. The rules say only what the details are; the
version gets its number and its hash with the event that brings it (`decisions`), whose number it is.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import msgspec
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.actors.reservations.rules.waitlist_entries import change_of
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import NotFound, Refused, invalid
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.commands import ReportAddress
from innkeeper.protocol.reservations.events import (
    GuestAddressAccepted,
    GuestAddressRefused,
    GuestChanged,
    GuestForgotten,
    WaitlistChanged,
)
from innkeeper.protocol.reservations.refusals import GuestHasStays
from innkeeper.protocol.reservations.requests import Contact
from innkeeper.protocol.reservations.transitions import NOT_ENDED, NOT_FINAL
from innkeeper.protocol.reservations.waitlist import WaitlistEntry
from innkeeper.protocol.values.guests import Guest, GuestDetails, bare, new_version


def named_guest(state: HotelState, envelope: Envelope) -> Guest | None:
    """The guest whom the message names, with the newest details, without any once forgotten; None where the hotel has
    no such guest. The envelope has the details from before its batch; what the batch made of them counts more."""
    known = envelope.guest
    if known is None or known.hotel != state.opened().id:
        return None
    newest = state.just_given.get(known.guest.id, known.guest)
    return bare(newest) if newest.id in state.just_forgotten else newest


def known_guest(state: HotelState, notes: str, envelope: Envelope) -> Guest:
    """The known guest whom the caller names, with the current details and these notes. Refuses an unknown one."""
    current = named_guest(state, envelope)
    if current is None:
        raise invalid("guest.id", "known", "the hotel has no guest with this id")
    if current.details is None:
        raise invalid("guest.id", "forgotten", "the guest is forgotten; give the name anew")
    if current.details.notes == notes:
        return current
    return new_version(current.id, msgspec.structs.replace(current.details, notes=notes))


def guest_of(state: HotelState, contact: Contact, notes: str, envelope: Envelope) -> Guest:
    """A new guest with this contact data, or the known one whom it names."""
    if contact.name is None:
        return known_guest(state, notes, envelope)
    details = GuestDetails(
        contact.name, contact.email, contact.phone, notes, contact.address, language=contact.language
    )
    return new_version(envelope.id, details)


def changed_guest(guest: Guest, changed: dict[str, Any]) -> Guest:
    """The guest with these details changed; the same where none differs."""
    was = guest.details
    if not changed:
        return guest
    if was is None:
        raise invalid("guest", "forgotten", "the guest is forgotten; make a new booking")
    details = msgspec.structs.replace(was, **changed)
    if details == was:
        return guest
    return new_version(guest.id, details)


def at_other_stays(
    state: HotelState, changed: Booking | WaitlistEntry, contact: dict[str, Any]
) -> Iterator[GuestChanged | WaitlistChanged]:
    """The events by which the guest's other stays get the same contact data: the bookings that have not ended or whose
    end can be undone, and the entries of the waitlist."""
    stays: Iterable[Booking | WaitlistEntry] = chain(state.bookings.values(), state.waitlist.values())
    for other in stays:
        if other.guest.id != changed.guest.id or other.id == changed.id or other.guest.details is None:
            continue
        guest = changed_guest(other.guest, contact)
        if guest is other.guest:
            continue
        if isinstance(other, WaitlistEntry):
            yield change_of(other, guest)
        elif other.status in NOT_FINAL:
            yield GuestChanged(other.id, guest)


def forget(state: HotelState, guest: str, envelope: Envelope) -> tuple[GuestForgotten, ...]:
    """The event that forgets a guest; none where that was done before. Refuses while a stay of the guest is not over,
    or the guest waits for one."""
    known = named_guest(state, envelope)
    if known is None:
        raise Refused(NotFound("guest", guest))
    if known.details is None:
        return ()
    stays = [booking for booking in state.bookings.values() if booking.guest.id == guest]
    waits = [entry.id for entry in state.waitlist.values() if entry.guest.id == guest]
    open_stays = tuple(booking.id for booking in stays if booking.status in NOT_ENDED)
    if open_stays or waits:
        raise Refused(GuestHasStays(guest, open_stays, tuple(waits)))
    return (GuestForgotten(guest),)


def report_address(
    state: HotelState, command: ReportAddress, envelope: Envelope
) -> tuple[GuestAddressRefused | GuestAddressAccepted, ...]:
    """The event that the guest's address refuses letters, or takes them again; none where the guest is forgotten, or
    has another address by now."""
    known = named_guest(state, envelope)
    if known is None:
        raise Refused(NotFound("guest", command.guest))
    if known.details is None or known.details.email != command.email:
        return ()
    if command.reply:
        return (GuestAddressRefused(command.guest, command.booking, command.letter, command.reply),)
    return (GuestAddressAccepted(command.guest, command.booking),)
