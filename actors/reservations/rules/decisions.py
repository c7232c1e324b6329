"""The decisions of a hotel: a command leads to events or to a refusal. They do not change the state.

`_DECISIONS` maps each command to its rule, `ACTION_RULES` each action on a booking. A rule gets the state, the command
and its envelope (instant, id, author); it returns events, or raises `Refused`.
"""

from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
from innkeeper.actors.reservations.rules.actions import ACTION_RULES
from innkeeper.actors.reservations.rules.business_day import arrival_date, hold_until
from innkeeper.actors.reservations.rules.closures import CLOSURE_RULES
from innkeeper.actors.reservations.rules.guests import forget, known_guest, named_guest, report_address
from innkeeper.actors.reservations.rules.house import HOUSE_RULES
from innkeeper.actors.reservations.rules.housekeeping import HOUSEKEEPING_RULES
from innkeeper.actors.reservations.rules.lifecycle import allowed, why_not
from innkeeper.actors.reservations.rules.night_audit import audit, close_events, closes_more, due_events
from innkeeper.actors.reservations.rules.opening import opening_events
from innkeeper.actors.reservations.rules.pricing import exempted, new_stay
from innkeeper.actors.reservations.rules.rooming import (
    RoomingRequest,
    check_arrival,
    check_guests,
    check_reminder,
    check_room,
    divided,
    find_room,
    rate_of,
    room_type_of,
)
from innkeeper.actors.reservations.rules.state import IN_HOUSE, HotelState
from innkeeper.actors.reservations.rules.waitlist import change_events, join_event, leave_event
from innkeeper.actors.reservations.rules.waitlist_entries import changed_entry, waiting
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event, ForgettingEvent
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import ActionNotAllowed, NotFound, Refused, StaleVersion
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import Booking, RoomSegment
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.reservations.night_audit import ClosedDate
from innkeeper.protocol.reservations.projection import apply_event, apply_hotel_event
from innkeeper.protocol.reservations.refusals import HotelExists, NoSingleRoom
from innkeeper.protocol.reservations.replies import BookingReply, GuestReply, HotelReply, NightAuditReply, WaitlistReply
from innkeeper.protocol.reservations.room_events import ClosureEvent
from innkeeper.protocol.reservations.transitions import HOLDS_NIGHTS
from innkeeper.protocol.reservations.waitlist import WaitlistEntry
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.guests import Guest, GuestDetails, GuestKey, StoredGuest, new_guest
from innkeeper.protocol.values.taxes import TaxExemption

RoomClaim = events.BookingEvent | ClosureEvent
"""An event that changes what a room holds."""


class Decision(msgspec.Struct):
    """What a command leads to, once the rooms have accepted their claims.

    - `records`: its events.
    - `bookings`: after each event the booking that it is about, None for other events.
    - `after`: each of these bookings after all of the events; `entries` are those of the waitlist.
    - `guests`: the versions of guests' details that the command has given; `forgotten` are guests to erase.
    - `claims`: for each room whose nights change, the events that change them.
    - `reply`: None for what is due without a command.
    - `closes_next`: the dates that a night audit has closed, where it has to decide on the next one before it replies.
    """

    records: list[RecordedEvent] = []
    bookings: list[Booking | None] = []
    after: dict[str, Booking] = {}
    entries: dict[str, WaitlistEntry] = {}
    guests: dict[GuestKey, StoredGuest] = {}
    forgotten: set[str] = set()
    claims: dict[str, list[RoomClaim]] = {}
    reply: Reply | None = None
    closes_next: tuple[ClosedDate, ...] = ()


Ruling = tuple[tuple[Event, ...], Reply | None]
"""The events that a rule decides on, and the reply; None where that is the booking, or the entry of the waitlist, as it
is then."""


def decide(state: HotelState, envelope: Envelope) -> Decision:
    """The decision on a command. Raises `Refused`."""
    command = envelope.message
    assert isinstance(command, Command)
    if isinstance(command, commands.BookingCommand):
        booking = find(state, command, envelope).id
        decided, reply = ACTION_RULES[type(command)](state, state.bookings[booking], command, envelope), None
    elif state.hotel is None and not isinstance(command, commands.OpenHotel):
        raise Refused(NotFound("hotel", command.hotel))
    else:
        booking = envelope.id
        decided, reply = _DECISIONS[type(command)](state, command, envelope)
    decision = _record(state, decided, envelope, envelope.id)
    if reply is None and isinstance(command, _OF_AN_ENTRY):
        entry = getattr(command, "entry", envelope.id)
        reply = WaitlistReply(command.hotel, (decision.entries.get(entry) or state.waitlist[entry],))
    decision.reply = reply or BookingReply(decision.after.get(booking) or state.bookings[booking])
    if (
        isinstance(command, commands.RollBusinessDate)
        and isinstance(reply, NightAuditReply)
        and closes_more(state, command, envelope.at, reply.closed)
    ):
        decision.closes_next = reply.closed
    return decision


def decide_due(state: HotelState, at: int) -> Decision:
    """The decision on what is due at this instant without a command."""
    cause, decided = due_events(state, at)
    return _record(state, decided, Envelope(_NO_COMMAND, by="system", at=at), cause)


_NO_COMMAND = commands.RollBusinessDate("")
_OF_AN_ENTRY = commands.JoinWaitlist, commands.ChangeWaitlistEntry


def _record(state: HotelState, decided: tuple[Event, ...], envelope: Envelope, cause: str) -> Decision:
    """The decision with these events, each with its number, which is also that of a version of a guest's details that
    comes with it."""
    decision = Decision()
    hotel = envelope.message.hotel if state.hotel is None else state.hotel.id
    for seq, event in enumerate(decided, state.seq + 1):
        guest = getattr(event, "guest", None)
        if type(guest) is Guest and not guest.version and guest.details is not None:
            guest = new_guest(hotel, guest.id, seq, guest.details, envelope.salt)
            event = msgspec.structs.replace(event, guest=guest)
            decision.guests[guest.id, seq] = StoredGuest(hotel, guest, envelope.salt)
        record = RecordedEvent(hotel, seq, envelope.at, envelope.by, envelope.correlation, cause, event)
        now = None
        if isinstance(event, events.BookingEvent):
            was = decision.after.get(event.booking) or state.bookings.get(event.booking)
            now = decision.after[event.booking] = apply_event(was, record, state.opened().currency)
            if was is None:
                for part in now.rooms:
                    decision.claims.setdefault(part.room or "", []).append(event)
            else:
                for room in _concerned_rooms(was, now, state.opened().business_date):
                    decision.claims.setdefault(room, []).append(event)
        elif isinstance(event, ClosureEvent):
            decision.claims.setdefault(state.upkeep.room_of(event), []).append(event)
        elif isinstance(event, events.WaitlistJoined):
            decision.entries[event.entry] = waiting(event, seq, envelope.at, envelope.by)
        elif isinstance(event, events.WaitlistChanged):
            decision.entries[event.entry] = changed_entry(state.waitlist[event.entry], event, seq)
        elif isinstance(event, ForgettingEvent):
            decision.forgotten.add(event.guest)
        decision.records.append(record)
        decision.bookings.append(now)
    return decision


def _concerned_rooms(was: Booking, now: Booking, today: date) -> set[str]:
    """The rooms that a change of this booking concerns: those whose nights from `today` on it changes, and those that
    its guest enters or leaves."""
    rooms: set[str | None] = set()
    held, holds = was.status in HOLDS_NIGHTS, now.status in HOLDS_NIGHTS
    if was.rooms is not now.rooms or held != holds:
        parts = (*(was.rooms if held else ()), *(now.rooms if holds else ()))
        rooms = {part.room for part in parts if part.until > today}
    inside, is_inside = was.status is IN_HOUSE, now.status is IN_HOUSE
    if inside != is_inside or (is_inside and was.room != now.room):
        rooms |= {was.room} if inside else set()
        rooms |= {now.room} if is_inside else set()
    return {room for room in rooms if room}


def find(state: HotelState, command: commands.BookingCommand, envelope: Envelope) -> Booking:
    """The booking of an action. Refuses where its status, version or the business date does not allow the action."""
    booking = state.bookings.get(command.booking)
    if booking is None:
        raise Refused(NotFound("booking", command.booking))
    if envelope.if_version is not None and envelope.if_version != booking.version:
        raise Refused(StaleVersion(booking.version))
    today = state.opened().business_date
    arriving = today
    if command.action == "check-in" and today < booking.arrival:
        arriving = arrival_date(state.opened(), envelope.at)
    reason = why_not(booking, command.action, today, arriving)
    if reason is not None:
        arriving = arrival_date(state.opened(), envelope.at)
        raise Refused(ActionNotAllowed(command.action, reason, allowed(booking, today, arriving)))
    return booking


def _open_hotel(state: HotelState, command: commands.OpenHotel, envelope: Envelope) -> Ruling:
    if state.hotel is not None:
        raise Refused(HotelExists(command.hotel))
    opening = opening_events(command.request, envelope.at)
    hotel: Hotel | None = None
    for event in opening:
        hotel = apply_hotel_event(hotel, RecordedEvent(command.hotel, 0, envelope.at, "", "", "", event))
    assert hotel is not None
    return opening, HotelReply(hotel)


def _book(state: HotelState, command: commands.BookRoom, envelope: Envelope) -> Ruling:
    request = command.request
    kind = room_type_of(state, request.room_type)
    check_arrival(state, request.arrival)
    check_guests(state, kind, request.adults, request.children)
    if request.room is not None:
        check_room(state, request.room, kind.code)
    if request.reminder_on is not None:
        check_reminder(state, request.reminder_on, request.arrival, envelope.at)
    rate = kind.rate if request.rate is None else rate_of(state, request.rate)
    exemptions: tuple[TaxExemption, ...] = ()
    if request.exemptions:
        exemptions = exempted(state.opened(), state.opened().terms_of_sale[-1].version, request.exemptions)
    rooming = RoomingRequest(envelope.id, request.arrival, request.departure, kind.code, room=request.room)
    try:
        room, moved = find_room(state, rooming)
        rooms: tuple[RoomSegment, ...] = (RoomSegment(room, request.arrival, request.departure),)
    except Refused as refused:
        if not request.allow_split or not isinstance(refused.refusal, NoSingleRoom):
            raise
        rooms, moved = divided(state, rooming), ()
    contact = request.guest
    if contact.name is None:
        guest = known_guest(state, request.notes, envelope)
    else:
        details = GuestDetails(
            contact.name, contact.email, contact.phone, request.notes, contact.address, language=contact.language
        )
        guest = Guest(envelope.id, 0, b"", details)  # see `new_version`
    confirmed = events.BookingConfirmed(
        booking=envelope.id,
        locator=state.next_locator(),
        room_type=request.room_type,
        rooms=rooms,
        arrival=request.arrival,
        departure=request.departure,
        adults=request.adults,
        children=request.children,
        guest=guest,
        source=request.source,
        reminder_on=request.reminder_on,
        pinned=request.room is not None,
        **new_stay(state.opened(), request, rate, exemptions),
    )
    made: Event = confirmed
    if request.status == "held":
        seconds = request.hold_seconds or limits.hold_seconds_default
        expires_at = hold_until(state.opened(), request.arrival, envelope.at, seconds)
        made = events.BookingHeld(**msgspec.structs.asdict(confirmed), expires_at=expires_at)
    return (*moved, made), None


def _join_waitlist(state: HotelState, command: commands.JoinWaitlist, envelope: Envelope) -> Ruling:
    return (join_event(state, command.request, envelope),), None


def _change_waitlist(state: HotelState, command: commands.ChangeWaitlistEntry, envelope: Envelope) -> Ruling:
    return change_events(state, command, envelope), None


def _leave_waitlist(state: HotelState, command: commands.LeaveWaitlist, envelope: Envelope) -> Ruling:
    left = leave_event(state, command.entry, envelope)
    entry = state.waitlist[command.entry]
    return (left,), WaitlistReply(command.hotel, (entry,))


def _forget(state: HotelState, command: commands.ForgetGuest, envelope: Envelope) -> Ruling:
    forgotten = forget(state, command.guest, envelope)
    return forgotten, _guest_reply(state, command, envelope)


def _report_address(state: HotelState, command: commands.ReportAddress, envelope: Envelope) -> Ruling:
    reported = report_address(state, command, envelope)
    return reported, _guest_reply(state, command, envelope)


def _guest_reply(
    state: HotelState, command: commands.ForgetGuest | commands.ReportAddress, envelope: Envelope
) -> GuestReply:
    """The guest, without details."""
    known = named_guest(state, envelope)
    assert known is not None
    return GuestReply(command.hotel, Guest(known.id, known.version, b""))


def _close(state: HotelState, command: commands.RollBusinessDate, envelope: Envelope) -> Ruling:
    """Closes one date; of several, the next after those that the command has closed."""
    if not state.closed_now and (nothing := audit(state, command, envelope.at)) is not None:
        return (), nothing
    done = close_events(state, envelope.at, command.early)
    rolled = done[-1]
    assert isinstance(rolled, events.BusinessDateRolled)
    closed = (*state.closed_now, ClosedDate(rolled.closed, rolled.early, rolled.report))
    return done, NightAuditReply(command.hotel, rolled.opened, closed)


_DECISIONS: dict[type[Command], Callable[[HotelState, Any, Envelope], Ruling]] = {
    commands.OpenHotel: _open_hotel,
    **HOUSE_RULES,
    **CLOSURE_RULES,
    **HOUSEKEEPING_RULES,
    commands.BookRoom: _book,
    commands.JoinWaitlist: _join_waitlist,
    commands.ChangeWaitlistEntry: _change_waitlist,
    commands.LeaveWaitlist: _leave_waitlist,
    commands.ForgetGuest: _forget,
    commands.ReportAddress: _report_address,
    commands.RollBusinessDate: _close,
}
