"""Holds one answer against the facts at the moment when it was given. Each fault found is a sentence."""

from collections.abc import Iterator
from datetime import date, timedelta

from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations import replies
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.commands import ActionCommand, Book, JoinWaitlist, Move, OpenHotel
from innkeeper.protocol.reservations.queries import FindBooking
from innkeeper.protocol.reservations.refusals import HotelExists, NoSingleRoom, RoomsLeft, RoomTaken, SoldOut
from simulation.witness import Witness


def judge(witness: Witness, message: Command | Query, answer: Reply | Refusal) -> Iterator[str]:
    """What is wrong with this answer."""
    match answer:
        case replies.BookingReply():
            yield from _booking(witness, answer.booking)
        case replies.HotelReply():
            if answer.hotel.business_date != witness.today(message.hotel):
                yield f"the business date is {witness.today(message.hotel)}, not {answer.hotel.business_date}"
        case replies.AuditReply():
            if answer.business_date != witness.today(message.hotel):
                yield f"the business date is {witness.today(message.hotel)}, not {answer.business_date}"
        case replies.AvailabilityReply():
            yield from _availability(witness, answer)
        case SoldOut():
            yield from _sold_out(witness, message, answer)
        case replies.WaitlistReply() if isinstance(message, JoinWaitlist):
            yield from _joined(witness, message, answer)
        case RoomsLeft():
            yield from _rooms_left(witness, message, answer)
        case NoSingleRoom():
            if not witness.promised(message.hotel, answer.room_type):
                yield f"no {answer.room_type} is pinned, and yet there is no single room (P4)"
        case RoomTaken():
            yield from _room_taken(witness, message, answer)
        case refusals.NotFound():
            yield from _not_found(witness, message, answer)
        case HotelExists():
            if not isinstance(message, OpenHotel) or witness.house(message.hotel) is None:
                yield "there is no such hotel yet"
        case refusals.StaleVersion():
            facts = witness.bookings.get(_subject(message))
            if facts is None or facts.version != answer.version:
                yield f"the version is not {answer.version}"


def _subject(message: Command | Query) -> str:
    return message.booking if isinstance(message, ActionCommand | FindBooking) else ""


def _booking(witness: Witness, booking: Booking) -> Iterator[str]:
    facts = witness.bookings.get(booking.id)
    if facts is None:
        yield f"booking {booking.id} is in no event (P3)"
        return
    told = (
        booking.hotel, booking.version, booking.status.value, booking.room, booking.pinned, booking.arrival,
        booking.departure, booking.expires_at,
    )  # fmt: skip
    true = (
        facts.hotel, facts.version, facts.status, facts.room, facts.pinned, facts.arrival,
        facts.departure, facts.expires_at,
    )  # fmt: skip
    if told != true:
        yield f"booking {booking.id} was told as {told} and is {true} (P3)"


def _availability(witness: Witness, answer: replies.AvailabilityReply) -> Iterator[str]:
    for kind in answer.types:
        true = tuple(
            witness.left(answer.hotel, kind.room_type.code, answer.arrival + timedelta(days=number))
            for number in range((answer.departure - answer.arrival).days)
        )
        if kind.nights != true or kind.rooms != min(true):
            yield f"{kind.room_type.code} has {true} left, not {kind.nights}"


def _sold_out(witness: Witness, message: Command | Query, answer: SoldOut) -> Iterator[str]:
    if not answer.nights:
        yield "sold out on no night (P4)"
    for night in answer.nights:
        left = witness.left(message.hotel, answer.room_type, night, _subject(message))
        if left:
            yield f"{left} {answer.room_type} are left on {night}, and yet it is sold out (P4)"


def _room_taken(witness: Witness, message: Command | Query, answer: RoomTaken) -> Iterator[str]:
    if not answer.nights:
        yield f"room {answer.room} is taken on no night"
    promised = witness.promised(message.hotel, witness.house(message.hotel).rooms[answer.room])
    if not promised and not _insists(witness, message) and not _both_in_house(witness, message, answer):
        yield f"nobody is promised a room, nobody asked for room {answer.room}, and yet it was insisted on (P4)"
    for night in answer.nights:
        holder = witness.taken_by(message.hotel, answer.room, night)
        if holder in (None, _subject(message)):
            yield f"room {answer.room} is free on {night}, and yet it is taken (P4)"


def _joined(witness: Witness, message: JoinWaitlist, answer: replies.WaitlistReply) -> Iterator[str]:
    (entry,) = answer.entries
    if entry.id not in witness.waiting(message.hotel):
        yield f"entry {entry.id} does not stand on the waitlist (P3)"
    if _free_every_night(witness, message) and not witness.promised(message.hotel, entry.room_type):
        yield f"there is a {entry.room_type} on every night, and yet {entry.id} has to wait (P4)"


def _rooms_left(witness: Witness, message: Command | Query, answer: RoomsLeft) -> Iterator[str]:
    if not isinstance(message, JoinWaitlist) or not _free_every_night(witness, message):
        yield f"no {answer.room_type} is left, and yet nobody needs to wait"


def _free_every_night(witness: Witness, message: JoinWaitlist) -> bool:
    wanted = message.request
    nights = (wanted.arrival + timedelta(days=number) for number in range((wanted.departure - wanted.arrival).days))
    return all(witness.left(message.hotel, wanted.room_type, night) for night in nights)


def _insists(witness: Witness, message: Command | Query) -> bool:
    """Is it for one certain room?"""
    if isinstance(message, Book):
        return message.request.room is not None
    return isinstance(message, Move) or witness.bookings[_subject(message)].pinned


def _both_in_house(witness: Witness, message: Command | Query, answer: RoomTaken) -> bool:
    """Does a guest who stays wish to stay on, and somebody else lives in the room by then?"""
    holders = (witness.taken_by(message.hotel, answer.room, night) or "" for night in answer.nights)
    guests = [witness.bookings.get(booking) for booking in (_subject(message), *holders)]
    return all(guest is not None and guest.status == "in_house" for guest in guests)


def _not_found(witness: Witness, message: Command | Query, answer: refusals.NotFound) -> Iterator[str]:
    if answer.kind == "hotel":
        if witness.house(message.hotel) is not None:
            yield f"hotel {message.hotel} is open, and yet it is not found (P3)"
        return
    if answer.kind == "waitlist entry":
        if answer.name in witness.waiting(message.hotel):
            yield f"{answer.name} waits, and yet it is not found (P3)"
        return
    facts = witness.bookings.get(answer.name)
    if (
        facts is not None
        and facts.hotel == message.hotel
        and not _is_over(facts.status, facts.departure, witness.today(message.hotel))
    ):
        yield f"booking {answer.name} is not over, and yet it is not found (P3)"


def _is_over(status: str, departure: date, today: date) -> bool:
    return status not in ("held", "confirmed", "in_house") and departure <= today
