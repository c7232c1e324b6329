"""The state of a hotel, and its change by events.

The state belongs to one hotel actor and is changed in place: copying the calendars of ten thousand rooms for each
booking would make the fold quadratic. What the events say is changed by `evolve` alone, and `decide` only reads it.

The state holds the bookings that can still change. A booking that has ended is removed when the business date reaches
its departure, that of a no-show a day later; the journal and the read models keep it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from typing import Any

from innkeeper.actors.reservations.rules.business_day import next_audit
from innkeeper.actors.reservations.rules.calendar import Calendar
from innkeeper.actors.reservations.rules.lifecycle import is_over
from innkeeper.actors.reservations.rules.locators import locator_of, locator_rounds
from innkeeper.actors.reservations.rules.rooms import RoomState, RoomStates
from innkeeper.actors.reservations.rules.upkeep import Upkeep
from innkeeper.actors.reservations.rules.waitlist_entries import changed_entry, waiting
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import events, room_events
from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.reservations.hotel import Hotel, RoomType
from innkeeper.protocol.reservations.night_audit import ClosedDate
from innkeeper.protocol.reservations.projection import apply_event, apply_hotel_event
from innkeeper.protocol.reservations.replies import HotelStateReply
from innkeeper.protocol.reservations.room_events import RoomCondition
from innkeeper.protocol.reservations.transitions import ARRIVED, HOLDS_NIGHTS, NOT_ARRIVED, NOT_ENDED
from innkeeper.protocol.reservations.waitlist import WaitlistEntry
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import BILLING, DELIVERY
from innkeeper.protocol.values.guests import Guest, GuestDetails, GuestKey, bare, with_details, without_details
from innkeeper.protocol.values.server_time import ServerTime

IN_HOUSE = BookingStatus.IN_HOUSE


@dataclass(slots=True)
class HotelState:
    """One hotel.

    - `rooms` maps each room number to its type and its position in that type's calendar, also those that are retired.
    - `waitlist` has the entries, oldest first; `freed` are the room types that may have a room for one of them now, or
      for one of `roomless`, the bookings that have no room on some of their nights.
    - `occupants` has the booking in each occupied room.
    - `fixed` has, by room type, what the hotel cannot move: bookings with a pinned room, a divided stay, or a guest who
      arrived before the date was open; and rooms that are out of order.
    - `upkeep` has the closures and the condition of the rooms.
    - `audit_at` is when the next automatic audit is due.
    - `room_states` is what the rooms know from the journal, until their actors start; `refused_rooms` are those that
      have just refused a claim.
    - `just_given` has the newest version of each guest whose details were given in this batch of commands,
      `just_forgotten` those who were forgotten in it.
    - `locators` are those of the bookings here; `locator_key` is an input, no part of what is described.
    """

    hotel: Hotel | None = None
    seq: int = 0
    bookings_made: int = 0
    room_types: dict[str, RoomType] = field(default_factory=dict)
    calendars: dict[str, Calendar] = field(default_factory=dict)
    rooms: dict[str, tuple[str, int]] = field(default_factory=dict)
    bookings: dict[str, Booking] = field(default_factory=dict)
    expiries: list[tuple[int, str]] = field(default_factory=list)
    waitlist: dict[str, WaitlistEntry] = field(default_factory=dict)
    freed: set[str] = field(default_factory=set)
    audit_at: int | None = None
    closed: tuple[ClosedDate, ...] = ()
    closed_now: tuple[ClosedDate, ...] = ()
    server: ServerTime = field(default_factory=ServerTime)
    occupants: dict[str, str] = field(default_factory=dict)
    roomless: set[str] = field(default_factory=set)
    fixed: dict[str, set[str]] = field(default_factory=dict)
    room_states: RoomStates = field(default_factory=RoomStates)
    refused_rooms: frozenset[str] = frozenset()
    just_given: dict[str, Guest] = field(default_factory=dict)
    just_forgotten: set[str] = field(default_factory=set)
    locators: set[str] = field(default_factory=set)
    locator_key: bytes = b""
    upkeep: Upkeep = field(init=False)
    _locator_rounds: blake2b | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        self.upkeep = Upkeep(self.calendars, self.rooms, self.freed, self.fixed)

    def opened(self) -> Hotel:
        """The hotel, which must be open."""
        assert self.hotel is not None
        return self.hotel

    def next_locator(self) -> str:
        """The locator of the next booking: six characters by which a guest names it at the front desk."""
        if self._locator_rounds is None:
            self._locator_rounds = locator_rounds(self.locator_key, self.opened().id)
        return locator_of(self._locator_rounds, self.bookings_made, self.locators)

    def has_room(self, room: str) -> bool:
        """Whether this is a room of the hotel that is not retired."""
        kind, position = self.rooms.get(room, ("", 0))
        return kind in self.calendars and bool(self.calendars[kind].all_rooms >> position & 1)

    def movable(self, booking: str) -> bool:
        """Whether the hotel may change the room of this booking: only before arrival, and unless the room is pinned or
        the stay is divided between rooms. A closure is no booking, and is not moved."""
        stay = self.bookings.get(booking)
        return stay is not None and stay.status in NOT_ARRIVED and not stay.pinned and len(stay.rooms) == 1

    def fix(self, booking: Booking) -> None:
        """Notes the booking where the hotel cannot move it: a room is pinned, the stay is divided, or the guest arrived
        before the date was open, and may have left again."""
        early = booking.status in ARRIVED and booking.arrival > self.opened().business_date
        if early or (booking.status in NOT_ENDED and (booking.pinned or len(booking.rooms) > 1)):
            for part in booking.rooms:
                if part.room is not None and part.first < part.until:
                    self.fixed.setdefault(self.rooms[part.room][0], set()).add(booking.id)

    def unfix(self, booking: Booking) -> None:
        """Forgets what `fix` has noted."""
        if booking.pinned or len(booking.rooms) > 1 or booking.status in ARRIVED:
            for fixed in self.fixed.values():
                fixed.discard(booking.id)

    def let_in(self, was: Booking | None, now: Booking) -> None:
        """Notes which room the guest has left, which is dirty then, and entered."""
        if was is not None and was.status is IN_HOUSE:
            if now.room != was.room or now.status is BookingStatus.CHECKED_OUT:
                self.upkeep.put(was.room, RoomCondition.DIRTY)
            if self.occupants.get(was.room) == was.id:
                del self.occupants[was.room]
                kind, position = self.rooms[was.room]
                self.calendars[kind].occupied &= ~(1 << position)
        if now.status is IN_HOUSE:
            self.occupants[now.room] = now.id
            kind, position = self.rooms[now.room]
            self.calendars[kind].occupied |= 1 << position

    def next_expiry(self) -> int | None:
        """When the next hold expires. Removes the expiries of holds that have ended in another way."""
        while self.expiries:
            expires_at, booking = self.expiries[0]
            known = self.bookings.get(booking)
            if known is not None and known.expires_at == expires_at:
                return expires_at
            heappop(self.expiries)
        return None

    def due_at(self) -> int | None:
        """When something is due without a command (microseconds since 1970 UTC), or None."""
        if self.freed and (self.waitlist or self.roomless):
            return 0
        expiry = self.next_expiry() if self.expiries else None
        return min(expiry, self.audit_at) if expiry and self.audit_at else expiry or self.audit_at

    def claim(self, booking: Booking) -> None:
        """Enters the booking's nights in the calendars."""
        for part in booking.rooms:
            first, until = part.first.toordinal(), part.until.toordinal()
            if part.room is None and booking.status in NOT_ENDED:
                self.calendars[booking.room_type].wait(first, until, booking.id)
                self.roomless.add(booking.id)
            elif part.room is not None:
                kind, position = self.rooms[part.room]
                self.calendars[kind].claim(position, first, until, booking.id)

    def vacate(self, booking: Booking) -> None:
        """Removes the booking's nights from the calendars."""
        for room in {part.room for part in booking.rooms}:
            if room is None:
                self.calendars[booking.room_type].wait_no_more(booking.id)
                self.roomless.discard(booking.id)
                self.freed.add(booking.room_type)
            else:
                kind, position = self.rooms[room]
                self.calendars[kind].vacate(position, booking.id)
                self.freed.add(kind)


def evolve(state: HotelState, record: RecordedEvent, after: Booking | None = None) -> None:
    """Applies an event to the state. `after` is the booking after it, where that was computed before."""
    rule = HOTEL_FOLD[type(record.event)]
    state.seq = record.hotel_seq
    if rule is not None:
        rule(state, record, after)


def recover(state: HotelState, record: RecordedEvent) -> None:
    """Applies an event of the journal, to the rooms too."""
    evolve(state, record)
    state.room_states.apply(record.event)


def _evolve_booking(state: HotelState, record: RecordedEvent, after: Booking | None) -> None:
    event = record.event
    assert isinstance(event, events.BookingEvent)
    was = state.bookings.get(event.booking)
    now = after or apply_event(was, record, state.opened().currency)
    state.bookings[now.id] = now
    if was is None:
        state.bookings_made += 1
        state.locators.add(now.locator)
        state.waitlist.pop(now.id, None)
        state.claim(now)
    else:
        if was.rooms is not now.rooms or (was.status in HOLDS_NIGHTS) != (now.status in HOLDS_NIGHTS):
            if was.status in HOLDS_NIGHTS:
                state.vacate(was)
            if now.status in HOLDS_NIGHTS:
                state.claim(now)
        if was.pinned and not now.pinned:
            state.freed.update(state.rooms[part.room][0] for part in now.rooms if part.room is not None)
        state.unfix(was)
        if IN_HOUSE in (was.status, now.status):
            state.let_in(was, now)
    if now.pinned or len(now.rooms) > 1 or now.status in ARRIVED:
        state.fix(now)
    if now.expires_at is not None and (was is None or was.expires_at != now.expires_at):
        heappush(state.expiries, (now.expires_at, now.id))


def _evolve_hotel(state: HotelState, record: RecordedEvent, _: None) -> None:
    state.hotel = hotel = apply_hotel_event(state.hotel, record)
    state.room_types = {kind.code: kind for kind in hotel.room_types}
    state.audit_at = next_audit(hotel)
    state.upkeep.ask_clean(hotel.housekeeping)
    match record.event:
        case events.RoomTypeAdded() as event:
            state.calendars.setdefault(event.code, Calendar(hotel.business_date.toordinal()))
        case events.HotelChanged() | room_events.RoomTypeChanged():
            state.freed.update(state.room_types)  # they may take more guests
        case events.RoomAdded() as event:
            state.upkeep.add_room(event.room, event.room_type)
        case room_events.RoomRetired() as event:
            state.upkeep.retire_room(event.room)
        case events.BusinessDateRolled() as event:
            _roll(state, event)


def _joined(state: HotelState, record: RecordedEvent, _: None) -> None:
    assert isinstance(record.event, events.WaitlistJoined)
    state.waitlist[record.event.entry] = waiting(record.event, record.hotel_seq, record.at, record.by)


def _waitlist_changed(state: HotelState, record: RecordedEvent, _: None) -> None:
    assert isinstance(record.event, events.WaitlistChanged)
    was = state.waitlist[record.event.entry]
    now = changed_entry(was, record.event, record.hotel_seq)
    if now.number != was.number:
        del state.waitlist[was.id]  # the entry goes to the end
    state.waitlist[was.id] = now
    if (now.adults, now.children) != (was.adults, was.children):
        state.freed.add(now.room_type)  # a room that was too small may be free


def _left(state: HotelState, record: RecordedEvent, _: None) -> None:
    assert isinstance(record.event, events.WaitlistLeft)
    del state.waitlist[record.event.entry]


def _forgotten(state: HotelState, record: RecordedEvent, _: None) -> None:
    assert isinstance(record.event, events.GuestForgotten)
    guest = record.event.guest
    state.just_forgotten.add(guest)
    state.bookings |= {one.id: bare(one) for one in state.bookings.values() if one.guest.id == guest}
    state.waitlist |= {one.id: bare(one) for one in state.waitlist.values() if one.guest.id == guest}


def _timeline_begun(state: HotelState, record: RecordedEvent, _: None) -> None:
    """Makes no locator again that a lost booking has, whose guest may have got it in a letter."""
    assert isinstance(record.event, events.TimelineBegun)
    state.bookings_made += len(record.event.lost_bookings)


def _on_upkeep(rule: Callable[[Upkeep, Any], None]) -> Callable[[HotelState, RecordedEvent, Any], None]:
    return lambda state, record, _: rule(state.upkeep, record.event)


def _roll(state: HotelState, event: events.BusinessDateRolled) -> None:
    opened = event.opened
    closed = ClosedDate(event.closed, event.early, event.report)
    state.closed = (*state.closed, closed)[-limits.closed_dates_kept_max :]
    for calendar in state.calendars.values():
        calendar.roll(opened.toordinal())
    state.upkeep.roll(opened.toordinal(), state.occupants)
    for booking in [booking.id for booking in state.bookings.values() if is_over(booking, opened)]:
        state.locators.discard(state.bookings.pop(booking).locator)
        state.roomless.discard(booking)
    for stay in state.bookings.values():
        if stay.status in ARRIVED:  # some of them before this date was open
            state.unfix(stay)
            state.fix(stay)


HOTEL_FOLD = EventTable[Callable[[HotelState, RecordedEvent, Any], None]](
    "the state of a hotel",
    handles={
        events.HotelOpened: _evolve_hotel,
        events.TermsOfSaleChanged: _evolve_hotel,
        events.HotelChanged: _evolve_hotel,
        events.RoomTypeAdded: _evolve_hotel,
        room_events.RoomTypeChanged: _evolve_hotel,
        room_events.RoomTypeRetired: _evolve_hotel,
        events.RoomAdded: _evolve_hotel,
        room_events.RoomRetired: _evolve_hotel,
        room_events.RoomClosed: _on_upkeep(Upkeep.close),
        room_events.RoomClosureChanged: _on_upkeep(Upkeep.change),
        room_events.RoomReopened: _on_upkeep(Upkeep.reopen),
        room_events.RoomConditionChanged: _on_upkeep(Upkeep.condition_changed),
        events.BookingHeld: _evolve_booking,
        events.BookingConfirmed: _evolve_booking,
        events.BookingModified: _evolve_booking,
        events.HoldExtended: _evolve_booking,
        events.HoldExpired: _evolve_booking,
        events.HoldReleased: _evolve_booking,
        events.RoomMoved: _evolve_booking,
        events.RoomUnassigned: _evolve_booking,
        events.RoomAssigned: _evolve_booking,
        events.BookingPinned: _evolve_booking,
        events.BookingUnpinned: _evolve_booking,
        events.BookingCancelled: _evolve_booking,
        events.BookingReinstated: _evolve_booking,
        events.GuestCheckedIn: _evolve_booking,
        events.CheckInUndone: _evolve_booking,
        events.GuestCheckedOut: _evolve_booking,
        events.CheckOutUndone: _evolve_booking,
        events.GuestOverstayed: _evolve_booking,
        events.GuestNoShow: _evolve_booking,
        events.GuestChanged: _evolve_booking,
        events.ReminderChanged: _evolve_booking,
        events.WaitlistJoined: _joined,
        events.WaitlistChanged: _waitlist_changed,
        events.WaitlistLeft: _left,
        events.GuestForgotten: _forgotten,
        events.BusinessDateRolled: _evolve_hotel,
        events.TimelineBegun: _timeline_begun,
    },
    ignores=(events.GuestAddressRefused, events.GuestAddressAccepted),
    not_followed=(BILLING, DELIVERY),
)


def describe(state: HotelState) -> HotelStateReply:
    """The whole state as one value, without details of guests. Hotels with the same events have equal values. The rooms
    are as in the journal: a running hotel asks its rooms."""
    bookings = tuple(map(bare, sorted(state.bookings.values(), key=lambda booking: booking.id)))
    rooms = state.room_states.describe(state.opened().business_date.toordinal())
    waitlist = tuple(map(bare, state.waitlist.values()))
    kept = state.closed, *state.upkeep.describe()
    return HotelStateReply(state.opened(), state.seq, state.bookings_made, bookings, waitlist, rooms, *kept)


def restore(described: HotelStateReply, locator_key: bytes = b"") -> HotelState:
    """The state from the value that `describe` made of it, and the key of the installation's locators."""
    hotel = described.hotel
    state = HotelState(
        hotel=hotel, seq=described.hotel_seq, bookings_made=described.bookings_made, locator_key=locator_key
    )
    state.room_types = {kind.code: kind for kind in hotel.room_types}
    state.audit_at = next_audit(hotel)
    state.closed = described.closed
    state.upkeep.asks_clean = hotel.housekeeping
    state.upkeep.conditions = {care.room: care.condition for care in described.conditions}
    for kind in (*hotel.room_types, *hotel.retired_types):
        state.calendars[kind.code] = Calendar(hotel.business_date.toordinal())
        for room in kind.rooms:
            state.upkeep.add_room(room, kind.code)
    for retired in hotel.retired_rooms:
        state.upkeep.add_room(retired.room, retired.room_type)
        state.upkeep.retire_room(retired.room)
    state.room_states.rooms = {room: RoomState(room) for room in state.rooms}
    state.room_states.restore(described.rooms)
    for closure in described.closures:
        state.upkeep.enter(closure)
    for booking in described.bookings:
        state.bookings[booking.id] = booking
        state.locators.add(booking.locator)
        if booking.status in HOLDS_NIGHTS:
            state.claim(booking)
        if booking.status is IN_HOUSE:
            state.let_in(None, booking)
        state.fix(booking)
    state.expiries = [(b.expires_at, b.id) for b in described.bookings if b.expires_at is not None]
    heapify(state.expiries)
    state.waitlist = {entry.id: entry for entry in described.waitlist}
    state.freed.update(state.room_types)
    return state


def lacking_details(state: HotelState) -> list[GuestKey]:
    """What the details of the guests are stored under that the state does not have: it was made from the journal."""
    return without_details((*state.bookings.values(), *state.waitlist.values()))


def add_details(state: HotelState, found: Mapping[GuestKey, GuestDetails]) -> None:
    """Adds the details that were found. Those of forgotten guests are not."""
    state.bookings = {id_: with_details(booking, found) for id_, booking in state.bookings.items()}
    state.waitlist = {id_: with_details(entry, found) for id_, entry in state.waitlist.items()}
