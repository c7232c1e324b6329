"""The auditor of reservations, which reads a whole journal and checks the promises, without the rules of reservations.

It applies the events to plain dictionaries, and checks who holds which room on which night (P1), which rooms a hotel
has (P2), that each event of a booking is one that can happen at that point of its life, that business dates are closed
in order when they are over (P12), and that each hotel's history has no gap. It is slow and simple on purpose.
"""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import events, room_events
from innkeeper.protocol.reservations.reasons import MoveReason
from innkeeper.protocol.values.contexts import BILLING, DELIVERY
from innkeeper.storage.audit.business_dates import audit_of, begun
from innkeeper.storage.audit.closed_rooms import ClosedRooms
from innkeeper.storage.audit.hotel_record import HeldRoom, HotelRecord

_NOT_ARRIVED = {"held", "confirmed"}
_CURRENT = {*_NOT_ARRIVED, "in house"}
_UNDOABLE = {"checked out", "cancelled", "no-show"}


class ReservationsAuditor:
    """Checks events in order; `violations` describes what is wrong."""

    def __init__(self) -> None:
        self.hotels: dict[str, HotelRecord] = {}
        self.events = 0
        self.violations: list[str] = []
        self._at = 0
        self._command: tuple[str, str] | None = None
        self._touched: set[tuple[str, str, int]] = set()
        self.closed: set[tuple[str, str]] = set()
        self._entered: set[tuple[str, str]] = set()

    def handle(self, records: Iterable[RecordedEvent]) -> None:
        """Checks the next events, in the journal's order."""
        for record in records:
            command = (record.hotel, record.cause or record.id)
            if command != self._command:  # bookings may exchange rooms within a command
                self._check_rooms()
                self._command = command
            self._check(record)
        self._check_rooms()

    def _check(self, record: RecordedEvent) -> None:
        self.events += 1
        state = self.hotels.setdefault(record.hotel, HotelRecord())
        if record.hotel_seq != state.seq + 1:
            self.violations.append(f"{record.hotel}: event {record.hotel_seq} follows event {state.seq}")
        state.seq = record.hotel_seq
        rule = RESERVATIONS_AUDIT[type(record.event)]
        self._at = record.at
        if rule is not None:
            rule(self, record.hotel, state, record.event)

    def opened(self, hotel: str, state: HotelRecord, event: events.HotelOpened) -> None:
        """Begins on the first business date, which is the hotel's own day."""
        state.dates, wrong = begun(event, self._at)
        self._report(hotel, wrong)
        state.today = event.business_date.toordinal()

    def room_added(self, _: str, state: HotelRecord, event: events.RoomAdded) -> None:
        """Notes a room of the hotel."""
        state.rooms[event.room] = event.room_type

    def hotel_changed(self, _: str, state: HotelRecord, event: events.HotelChanged) -> None:
        """Notes when its dates are over from now on."""
        assert state.dates is not None
        state.dates.audit = audit_of(event.night_audit)

    def _report(self, hotel: str, wrong: Iterable[str]) -> None:
        self.violations.extend(f"{hotel}: {what}" for what in wrong)

    def rolled(self, hotel: str, state: HotelRecord, event: events.BusinessDateRolled) -> None:
        """Checks that the date that was open is over, and notes the new one."""
        if state.dates is not None:
            self._report(hotel, state.dates.rolled(event, self._at))
        state.today = event.opened.toordinal()
        state.closed.roll(state.today)

    def room_retired(self, hotel: str, state: HotelRecord, event: room_events.RoomRetired) -> None:
        """Checks that nobody needs the room any more."""
        if state.rooms.pop(event.room, None) is None:
            self.violations.append(f"{hotel}: room {event.room} is retired, but is none of its rooms (P2)")
        for (room, night), holder in state.holders.items():
            if room == event.room and night >= state.today:
                self.violations.append(f"{hotel}: room {room} is retired, but {holder} holds it (P2)")
        if state.inside.get(event.room):
            self.violations.append(f"{hotel}: room {event.room} is retired, but a guest is in it (P1)")

    def joined(self, _: str, state: HotelRecord, event: events.WaitlistJoined) -> None:
        """Notes an entry of the waitlist."""
        state.waiting.add(event.entry)

    def entry_changed(self, hotel: str, state: HotelRecord, event: events.WaitlistChanged) -> None:
        """Checks that the entry is on the waitlist."""
        if event.entry not in state.waiting:
            self.violations.append(f"{hotel}: {event.entry} is changed, but is not on the waitlist")

    def left(self, hotel: str, state: HotelRecord, event: events.WaitlistLeft) -> None:
        """Checks that the entry was on the waitlist."""
        self._leave_waitlist(hotel, state, event.entry)

    def guest_forgotten(self, _: str, state: HotelRecord, event: events.GuestForgotten) -> None:
        """Notes the guest."""
        state.forgotten.add(event.guest)

    def _leave_waitlist(self, hotel: str, state: HotelRecord, entry: str) -> None:
        if entry not in state.waiting:
            self.violations.append(f"{hotel}: {entry} is taken off the waitlist, but is not on it")
        state.waiting.discard(entry)

    def held(self, hotel: str, state: HotelRecord, event: events.BookingHeld) -> None:
        """Checks a new hold, which may take an entry off the waitlist."""
        if event.from_waitlist:
            self._leave_waitlist(hotel, state, event.booking)
        self._stay(hotel, state, event, {"new"}, "held")

    def confirmed(self, hotel: str, state: HotelRecord, event: events.BookingConfirmed) -> None:
        """Checks a confirmation, of a new booking or of a hold."""
        self._stay(hotel, state, event, {"new", "held"}, "confirmed")

    def modified(self, hotel: str, state: HotelRecord, event: events.BookingModified) -> None:
        """Takes the new terms of a booking."""
        self._stay(hotel, state, event, _CURRENT)

    def _stay(
        self, hotel: str, state: HotelRecord, event: events.StayEvent, phases: set[str], phase: str | None = None
    ) -> None:
        held = state.bookings.setdefault(event.booking, HeldRoom(event.rooms, 0, 0, {}, state.seq))
        held.rooms, held.pinned, held.open = event.rooms, event.pinned, True
        held.arrival, held.departure = event.arrival.toordinal(), event.departure.toordinal()
        self._live(hotel, held, event, phases, phase)
        self._hold(hotel, state, event.booking, held)
        self._check_price(hotel, event, held)

    def _check_price(self, hotel: str, event: Any, held: HeldRoom) -> None:
        """Checks that each night of the stay, and a day use, has one price: its amount and the taxes on top of it."""
        until = max(held.departure, held.arrival + 1)
        if [line.night.toordinal() for line in event.lines] != [*range(held.arrival, until)]:
            self.violations.append(f"{hotel}: the price of {event.booking} is not one line for each night (P10)")
        for line in event.lines:
            if line.total != line.amount + sum(tax.amount for tax in line.taxes if not tax.included):
                self.violations.append(f"{hotel}: the price of {event.booking} on {line.night} does not add up (P10)")

    def _enter(self, hotel: str, state: HotelRecord, booking: str, held: HeldRoom, room: str | None) -> None:
        """The guest leaves the room that it is in, and enters this one."""
        if held.inside is not None:
            state.inside[held.inside].discard(booking)
        held.inside = room
        if room is not None:
            state.inside.setdefault(room, set()).add(booking)
            self._entered.add((hotel, room))

    def room_moved(self, hotel: str, state: HotelRecord, event: events.RoomMoved) -> None:
        """Moves the nights from the business date on to another room. Only a request moves a guest who has arrived, or
        whose room is pinned."""
        requested = event.reason_code is not MoveReason.RESHUFFLE
        if (held := self._known(hotel, state, event, _CURRENT if requested else _NOT_ARRIVED)) is not None:
            if held.pinned and not requested:
                self.violations.append(f"{hotel}: booking {event.booking} was moved from its pinned room")
            held.rooms = event.rooms
            self._hold(hotel, state, event.booking, held)
            if event.moved_in:
                if held.phase != "in house":
                    self.violations.append(f"{hotel}: {event.booking} moved in, but is {held.phase} (P1)")
                self._enter(hotel, state, event.booking, held, event.to_room)

    def unassigned(self, hotel: str, state: HotelRecord, event: events.RoomUnassigned) -> None:
        """Takes a room from a booking, on nights for which the guest is not in it."""
        if (held := self._known(hotel, state, event, {*_CURRENT, "checked out"})) is not None:
            tonight = next((one.room for one in event.rooms if one.until.toordinal() > state.today), None)
            if held.inside == event.from_room and tonight is None:
                self.violations.append(f"{hotel}: {event.booking} has lost room {event.from_room}, but is in it (P1)")
            held.rooms = event.rooms
            self._hold(hotel, state, event.booking, held)

    def assigned(self, hotel: str, state: HotelRecord, event: events.RoomAssigned) -> None:
        """Gives a room to a booking that had none."""
        if (held := self._known(hotel, state, event, _CURRENT)) is not None:
            held.rooms = event.rooms
            self._hold(hotel, state, event.booking, held)

    def reinstated(self, hotel: str, state: HotelRecord, event: events.BookingReinstated) -> None:
        """Takes the nights that are left of a booking that had ended."""
        if (held := self._known(hotel, state, event, {"cancelled", "no-show"}, "confirmed")) is not None:
            held.rooms, held.open = event.rooms, True
            held.nights.clear()  # the nights before it were not slept
            self._hold(hotel, state, event.booking, held)
            self._check_price(hotel, event, held)
            given_back = range(held.kept_until or held.arrival, state.today)
            if any(line.total for line in event.lines if line.night.toordinal() in given_back):
                self.violations.append(f"{hotel}: {event.booking} pays for a night that was not kept (P10)")

    def checked_in(self, hotel: str, state: HotelRecord, event: events.GuestCheckedIn) -> None:
        """Checks that a confirmed guest arrives in the room that the booking has for the night."""
        held = self._known(hotel, state, event, {"confirmed"}, "in house")
        if held is not None:
            has = next((one.room for one in held.rooms if one.until.toordinal() > state.today), held.rooms[-1].room)
            if has != event.room:
                self.violations.append(f"{hotel}: {event.booking} is checked in to {event.room}, but has {has} (P1)")
            self._enter(hotel, state, event.booking, held, event.room)

    def check_in_undone(self, hotel: str, state: HotelRecord, event: events.CheckInUndone) -> None:
        """The guest is not in the room."""
        if (held := self._known(hotel, state, event, {"in house"}, "confirmed")) is not None:
            self._enter(hotel, state, event.booking, held, None)

    def checked_out(self, hotel: str, state: HotelRecord, event: events.GuestCheckedOut) -> None:
        """Gives the nights after the departure back."""
        if (held := self._known(hotel, state, event, {"in house"}, "checked out")) is not None:
            self._end_stay(hotel, state, event, held)
            self._enter(hotel, state, event.booking, held, None)

    def check_out_undone(self, hotel: str, state: HotelRecord, event: events.CheckOutUndone) -> None:
        """The guest is in the room again, and the stay as before."""
        if (held := self._known(hotel, state, event, {"checked out"}, "in house")) is not None:
            self._end_stay(hotel, state, event, held)
            self._enter(hotel, state, event.booking, held, event.room)

    def overstayed(self, hotel: str, state: HotelRecord, event: events.GuestOverstayed) -> None:
        """The guest stays for another night."""
        if (held := self._known(hotel, state, event, {"in house"})) is not None:
            self._end_stay(hotel, state, event, held)

    def _end_stay(
        self,
        hotel: str,
        state: HotelRecord,
        event: events.GuestCheckedOut | events.CheckOutUndone | events.GuestOverstayed,
        held: HeldRoom,
    ) -> None:
        held.departure, held.rooms = event.departure.toordinal(), event.rooms
        self._hold(hotel, state, event.booking, held)
        self._check_price(hotel, event, held)

    def cancelled(self, hotel: str, state: HotelRecord, event: events.BookingCancelled) -> None:
        """Gives all nights back."""
        self._end(hotel, state, event, "confirmed", "cancelled")

    def no_show(self, hotel: str, state: HotelRecord, event: events.GuestNoShow) -> None:
        """Gives all nights back."""
        self._end(hotel, state, event, "confirmed", "no-show")
        if (held := state.bookings.get(event.booking)) is not None:
            held.kept_until = event.kept_until.toordinal()

    def hold_ended(self, hotel: str, state: HotelRecord, event: events.HoldExpired | events.HoldReleased) -> None:
        """Gives all nights back, for good."""
        self._end(hotel, state, event, "held", "ended")

    def _end(self, hotel: str, state: HotelRecord, event: events.BookingEvent, phase: str, after: str) -> None:
        if (held := self._known(hotel, state, event, {phase}, after)) is not None:
            held.open = False
            self._hold(hotel, state, event.booking, held)

    def extended(self, hotel: str, state: HotelRecord, event: events.HoldExtended) -> None:
        """Checks that the booking is held."""
        self._known(hotel, state, event, {"held"})

    def pin_changed(self, hotel: str, state: HotelRecord, event: events.BookingPinned | events.BookingUnpinned) -> None:
        """Checks that the guest has not arrived, and notes the promise."""
        if (held := self._known(hotel, state, event, _NOT_ARRIVED)) is not None:
            held.pinned = isinstance(event, events.BookingPinned)

    def details_changed(
        self, hotel: str, state: HotelRecord, event: events.GuestChanged | events.ReminderChanged
    ) -> None:
        """Checks that the booking has not ended; the guest's details also change where the end can be undone."""
        phases = _CURRENT if isinstance(event, events.ReminderChanged) else _CURRENT | _UNDOABLE
        self._known(hotel, state, event, phases)

    def _known(
        self, hotel: str, state: HotelRecord, event: events.BookingEvent, phases: set[str], phase: str | None = None
    ) -> HeldRoom | None:
        held = state.bookings.get(event.booking)
        if held is None:
            self.violations.append(f"{hotel}: {type(event).__name__} of a booking that does not exist")
            return None
        self._live(hotel, held, event, phases, phase)
        return held

    def _live(
        self, hotel: str, held: HeldRoom, event: events.BookingEvent, phases: set[str], phase: str | None
    ) -> None:
        if held.phase not in phases:
            what = f"{type(event).__name__} of booking {event.booking}, which is {held.phase}"
            self.violations.append(f"{hotel}: {what}")
        held.phase = phase or held.phase

    def _hold(self, hotel: str, state: HotelRecord, booking: str, held: HeldRoom) -> None:
        """Replaces the booking's nights from the business date on; earlier nights stay as they were slept."""
        for night in [night for night in held.nights if night >= state.today]:
            room = held.nights.pop(night)
            if state.holders.get((room, night)) == booking:
                del state.holders[room, night]
        if not held.open:
            return
        room_of = {
            night: one.room for one in held.rooms for night in range(one.first.toordinal(), one.until.toordinal())
        }
        if [*room_of] != [*range(held.arrival, held.departure)]:
            self.violations.append(f"{hotel}: {booking} has not one room for each night (P1)")
        for night, given in room_of.items():
            if given is not None and night >= state.today:
                held.nights[night] = given
                self._touched.add((hotel, booking, night))
            elif held.nights.get(night, given) != given:
                self.violations.append(f"{hotel}: {booking} slept in another room on {date.fromordinal(night)}")

    def _check_rooms(self) -> None:
        """Checks after a command that each changed night has one holder, in a room that the hotel has."""
        for hotel, booking, night in sorted(self._touched):
            state = self.hotels[hotel]
            if night not in state.bookings[booking].nights:
                continue
            room = state.bookings[booking].nights[night]
            if room not in state.rooms:
                self.violations.append(f"{hotel}: booking {booking} has room {room}, which does not exist (P2)")
            holder = state.holders.setdefault((room, night), booking)
            if holder != booking:
                self.violations.append(
                    f"{hotel}: {holder} and {booking} both hold room {room} on {date.fromordinal(night)} (P1)"
                )
        for hotel, closure in sorted(self.closed):
            state = self.hotels[hotel]
            wrong = state.closed.hold(closure, state.rooms, state.holders, state.today)
            self.violations += [f"{hotel}: {one}" for one in wrong]
        for hotel, entered in sorted(self._entered):
            inside = self.hotels[hotel].inside[entered]
            if len(inside) > 1:
                self.violations.append(
                    f"{hotel}: the guests of {' and '.join(sorted(inside))} are in room {entered} (P1)"
                )
        self._touched.clear()
        self.closed.clear()
        self._entered.clear()


Rule = Callable[[ReservationsAuditor, str, HotelRecord, Any], None]


def _closure(rule: Callable[[ClosedRooms, Any], Iterable[str]]) -> Rule:
    """The closure gives its nights back, and holds those that it has after the event when the command is over."""

    def handle(auditor: ReservationsAuditor, hotel: str, state: HotelRecord, event: room_events.ClosureEvent) -> None:
        state.closed.give_back(event.closure, state.holders, state.today)
        auditor.violations += [f"{hotel}: {one}" for one in rule(state.closed, event)]
        auditor.closed.add((hotel, event.closure))

    return handle


RESERVATIONS_AUDIT = EventTable[Rule](
    "the auditor of reservations",
    handles={
        events.HotelOpened: ReservationsAuditor.opened,
        events.HotelChanged: ReservationsAuditor.hotel_changed,
        events.RoomAdded: ReservationsAuditor.room_added,
        room_events.RoomRetired: ReservationsAuditor.room_retired,
        room_events.RoomClosed: _closure(ClosedRooms.close),
        room_events.RoomClosureChanged: _closure(ClosedRooms.change),
        room_events.RoomReopened: _closure(ClosedRooms.reopen),
        events.BookingHeld: ReservationsAuditor.held,
        events.BookingConfirmed: ReservationsAuditor.confirmed,
        events.BookingModified: ReservationsAuditor.modified,
        events.HoldExtended: ReservationsAuditor.extended,
        events.HoldExpired: ReservationsAuditor.hold_ended,
        events.HoldReleased: ReservationsAuditor.hold_ended,
        events.RoomMoved: ReservationsAuditor.room_moved,
        events.RoomUnassigned: ReservationsAuditor.unassigned,
        events.RoomAssigned: ReservationsAuditor.assigned,
        events.BookingPinned: ReservationsAuditor.pin_changed,
        events.BookingUnpinned: ReservationsAuditor.pin_changed,
        events.BookingCancelled: ReservationsAuditor.cancelled,
        events.BookingReinstated: ReservationsAuditor.reinstated,
        events.GuestCheckedIn: ReservationsAuditor.checked_in,
        events.CheckInUndone: ReservationsAuditor.check_in_undone,
        events.GuestCheckedOut: ReservationsAuditor.checked_out,
        events.CheckOutUndone: ReservationsAuditor.check_out_undone,
        events.GuestOverstayed: ReservationsAuditor.overstayed,
        events.GuestNoShow: ReservationsAuditor.no_show,
        events.GuestChanged: ReservationsAuditor.details_changed,
        events.ReminderChanged: ReservationsAuditor.details_changed,
        events.WaitlistJoined: ReservationsAuditor.joined,
        events.WaitlistChanged: ReservationsAuditor.entry_changed,
        events.WaitlistLeft: ReservationsAuditor.left,
        events.GuestForgotten: ReservationsAuditor.guest_forgotten,
        events.BusinessDateRolled: ReservationsAuditor.rolled,
    },
    ignores=(
        room_events.RoomTypeChanged, room_events.RoomTypeRetired, room_events.RoomConditionChanged,
        events.TermsOfSaleChanged, events.RoomTypeAdded, events.GuestAddressRefused, events.GuestAddressAccepted,
        events.TimelineBegun,
    ),
    not_followed=(BILLING, DELIVERY),
)  # fmt: skip
