"""Checks one answer against the event model at the moment of the answer. Each violation is a sentence."""

from collections.abc import Iterator
from datetime import date, timedelta

from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations import replies
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.commands import (
    BookingCommand,
    BookRoom,
    ChangeBooking,
    JoinWaitlist,
    MoveBooking,
    OpenHotel,
    RollBusinessDate,
    SwapRooms,
)  # fmt: skip
from innkeeper.protocol.reservations.queries import FindBooking, FindGuest
from innkeeper.protocol.reservations.refusals import (
    GuestHasStays,
    HotelExists,
    NoSingleRoom,
    RoomNeeded,
    RoomOccupied,
    RoomsStillAvailable,
    RoomTaken,
    RoomTypeNeeded,
    SoldOut,
    WaitsAlready,
)
from simulation.event_model import LIVE, EventModel
from simulation.house_checks import missing, needed, rooms


def check_answer(model: EventModel, message: Command | Query, answer: Reply | Refusal) -> Iterator[str]:
    """The violations in this answer."""
    match answer:
        case replies.BookingReply():
            yield from _booking(model, answer.booking)
        case replies.HotelReply():
            if answer.hotel.business_date != model.today(message.hotel):
                yield f"the business date is {model.today(message.hotel)}, not {answer.hotel.business_date}"
        case replies.NightAuditReply():
            yield from _audited(model, message, answer)
        case replies.GuestReply() if isinstance(message, FindGuest):
            if (answer.guest.details is None) != (message.guest in model.forgotten):
                yield f"the details of guest {message.guest} were answered, or not, against the events (P3)"
        case GuestHasStays():
            live = [model.bookings[booking].status in LIVE for booking in answer.bookings]
            if not all(live) or not {*answer.waitlist} <= model.waiting(message.hotel) or not (live or answer.waitlist):
                yield f"guest {answer.guest} was kept, although no stay is open"
        case replies.AvailabilityReply():
            yield from _availability(model, answer)
        case SoldOut():
            yield from _sold_out(model, message, answer)
        case replies.WaitlistReply() if isinstance(message, JoinWaitlist):
            yield from _joined(model, message, answer)
        case WaitsAlready():
            if answer.entry not in model.waiting(message.hotel):
                yield f"{answer.entry} is not on the waitlist, but WaitsAlready was answered"
        case RoomsStillAvailable():
            yield from _rooms_left(model, message, answer)
        case NoSingleRoom():
            if not model.has_fixed_stay(message.hotel, answer.room_type):
                yield f"no {answer.room_type} is pinned, but NoSingleRoom was answered (P4)"
        case RoomNeeded() | RoomTypeNeeded():
            yield from needed(model, message, answer.displaced)
        case replies.RoomsReply():
            yield from rooms(model, answer)
        case RoomOccupied():
            inside = model.hotel_record(message.hotel).inside.get(answer.room, set())
            if inside != {answer.booking}:
                yield f"{answer.booking} is said to be in room {answer.room}, where {inside} is (P1)"
        case RoomTaken():
            yield from _room_taken(model, message, answer)
        case refusals.NotFound():
            yield from _not_found(model, message, answer)
        case HotelExists():
            if not isinstance(message, OpenHotel) or model.hotel_record(message.hotel) is None:
                yield "there is no such hotel yet"
        case refusals.StaleVersion():
            facts = model.bookings.get(_booking_of(message))
            if facts is None or facts.version != answer.version:
                yield f"the version is not {answer.version}"


def _audited(model: EventModel, message: Command | Query, answer: replies.NightAuditReply) -> Iterator[str]:
    today = model.today(message.hotel)
    if answer.preview is not None:
        today += timedelta(days=1)
    elif isinstance(message, RollBusinessDate) and message.day is not None:
        today = message.day + timedelta(days=1)
    if answer.business_date != today:
        yield f"the business date is {today}, not {answer.business_date}"
    for closed in answer.closed if answer.preview is None else ():
        event = model.closed.get((message.hotel, closed.day))
        if event is None or (event.early, event.report) != (closed.early, closed.report):
            yield f"{closed} was answered, but the event is {event} (P3)"


def _booking_of(message: Command | Query) -> str:
    return message.booking if isinstance(message, BookingCommand | FindBooking) else ""


def _booking(model: EventModel, booking: Booking) -> Iterator[str]:
    facts = model.bookings.get(booking.id)
    if facts is None:
        yield f"booking {booking.id} is in no event (P3)"
        return
    reported = (
        booking.hotel, booking.version, booking.status.value, booking.room, booking.pinned, booking.arrival,
        booking.departure, booking.expires_at, booking.lines,
    )  # fmt: skip
    expected = (
        facts.hotel, facts.version, facts.status, facts.room, facts.pinned, facts.arrival,
        facts.departure, facts.expires_at, facts.lines,
    )  # fmt: skip
    if reported != expected:
        yield f"booking {booking.id} was answered as {reported} and is {expected} (P3)"


def _availability(model: EventModel, answer: replies.AvailabilityReply) -> Iterator[str]:
    for kind in answer.types:
        expected = tuple(
            model.rooms_left(answer.hotel, kind.room_type.code, answer.arrival + timedelta(days=number))
            for number in range((answer.departure - answer.arrival).days)
        )
        code, most = kind.room_type.code, min(expected)
        if kind.nights != expected or kind.rooms > most or kind.needs_move != (kind.rooms < most):
            yield f"{code} has {expected} left, not {kind.nights}"
        if kind.rooms < most and not model.has_fixed_stay(answer.hotel, code):
            yield f"{most} {code} are left for the stay, and no room is pinned, but {kind.rooms} were answered (P11)"
        if kind.rooms and not model.can_be_placed(answer.hotel, code, answer.arrival, answer.departure):
            stay = f"from {answer.arrival} to {answer.departure}"
            yield f"{kind.rooms} {code} are said to be left {stay}, but none is (P11)"


def _sold_out(model: EventModel, message: Command | Query, answer: SoldOut) -> Iterator[str]:
    if not answer.nights:
        yield "sold out on no night (P4)"
    for night in answer.nights:
        rooms_left = model.rooms_left(message.hotel, answer.room_type, night, _booking_of(message))
        if rooms_left:
            yield f"{rooms_left} {answer.room_type} are left on {night}, but SoldOut was answered (P4)"


def _room_taken(model: EventModel, message: Command | Query, answer: RoomTaken) -> Iterator[str]:
    if not answer.nights:
        yield f"room {answer.room} is taken on no night"
    has_fixed_stay = model.has_fixed_stay(message.hotel, model.hotel_record(message.hotel).rooms[answer.room])
    if not has_fixed_stay and not _needs_one_room(model, message) and not _both_in_house(model, message, answer):
        yield f"no room is pinned or requested, but RoomTaken was answered for room {answer.room} (P4)"
    for night in answer.nights:
        holder = model.holder_of(message.hotel, answer.room, night)
        if holder in (None, _booking_of(message)):
            yield f"room {answer.room} is free on {night}, but RoomTaken was answered (P4)"


def _joined(model: EventModel, message: JoinWaitlist, answer: replies.WaitlistReply) -> Iterator[str]:
    (entry,) = answer.entries
    if entry.id not in model.waiting(message.hotel):
        yield f"entry {entry.id} is not on the waitlist (P3)"
    if _free_every_night(model, message) and not model.has_fixed_stay(message.hotel, entry.room_type):
        yield f"a {entry.room_type} is free on every night, but {entry.id} is on the waitlist (P4)"


def _rooms_left(model: EventModel, message: Command | Query, answer: RoomsStillAvailable) -> Iterator[str]:
    if isinstance(message, JoinWaitlist) and not _free_every_night(model, message):
        yield f"no {answer.room_type} is left, but RoomsStillAvailable was answered"


def _free_every_night(model: EventModel, message: JoinWaitlist) -> bool:
    request = message.request
    nights = (request.arrival + timedelta(days=number) for number in range((request.departure - request.arrival).days))
    return all(model.rooms_left(message.hotel, request.room_type, night) for night in nights)


def _needs_one_room(model: EventModel, message: Command | Query) -> bool:
    """Whether the message is for one certain room."""
    if isinstance(message, BookRoom):
        return message.request.room is not None
    if isinstance(message, ChangeBooking) and isinstance(message.change.room, str):
        return True
    return isinstance(message, MoveBooking | SwapRooms) or model.bookings[_booking_of(message)].pinned


def _both_in_house(model: EventModel, message: Command | Query, answer: RoomTaken) -> bool:
    """Whether the guest is in house, and so is the holder of the room on a night of the extension."""

    def is_in_house(booking: str | None) -> bool:
        guest = model.bookings.get(booking or "")
        return guest is not None and guest.status == "in_house"

    holders = [model.holder_of(message.hotel, answer.room, night) for night in answer.nights]
    return is_in_house(_booking_of(message)) and any(map(is_in_house, holders))


def _not_found(model: EventModel, message: Command | Query, answer: refusals.NotFound) -> Iterator[str]:
    if answer.kind == "hotel":
        if model.hotel_record(message.hotel) is not None:
            yield f"hotel {message.hotel} is open, but was not found (P3)"
        return
    if answer.kind == "waitlist entry":
        if answer.name in model.waiting(message.hotel):
            yield f"{answer.name} is on the waitlist, but was not found (P3)"
        return
    if answer.kind == "guest":
        if answer.name in model.guests(message.hotel):
            yield f"guest {answer.name} is known, but was not found (P3)"
        return
    if answer.kind in ("room", "closure", "room type"):
        yield from missing(model, message.hotel, answer)
        return
    if answer.kind != "booking":
        yield f"nothing of the kind {answer.kind!r} is asked for"
    facts = model.bookings.get(answer.name)
    if (
        facts is not None
        and facts.hotel == message.hotel
        and not _is_over(facts.status, facts.departure, model.today(message.hotel))
    ):
        yield f"booking {answer.name} is not over, but was not found (P3)"


def _is_over(status: str, departure: date, today: date) -> bool:
    if status == "no_show":  # who may still arrive on the day of departure
        return departure < today
    return status not in ("held", "confirmed", "in_house") and departure <= today
