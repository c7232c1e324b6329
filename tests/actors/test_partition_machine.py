"""After any sequence of commands, retries, restarts and ticks the partition agrees with a naive model.

The model is a list of stays and a count per night: it knows nothing of rooms, calendars or moves. That is enough to say
what must be accepted (P4), what must be refused (P2), and the status of each booking.
"""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, invariant, multiple, precondition, rule
from innkeeper.actors.partition.recovery import rebuild
from innkeeper.actors.reservations.rules.state import HotelState, describe
from innkeeper.protocol.codec.wire import encode
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.queries import DescribeHotelState, FindAvailability, FindBooking, ListWaitlist
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.refusals import (
    GuestHasStays,
    NoSingleRoom,
    RoomOccupied,
    RoomsStillAvailable,
    RoomTaken,
    SoldOut,
)
from innkeeper.protocol.reservations.replies import (
    AvailabilityReply,
    BookingReply,
    GuestReply,
    HotelStateReply,
    NightAuditReply,
    WaitlistReply,
)
from innkeeper.protocol.reservations.requests import BookingChange, WaitlistChange, WaitlistRequest
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.guests import guests_in
from innkeeper.storage.audit.reservations import ReservationsAuditor
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.examples import machine_settings
from support.hotel_model import HOLDING, NIGHTS_AHEAD, ROOMS, HotelModel, Stay, stays
from support.partition_fixture import HOTEL, HOTEL_TYPE, PartitionFixture, hotel_request, night, request


class PartitionMachine(HotelModel):
    """A hotel of four rooms, and all commands of a front desk."""

    bookings = Bundle("bookings")

    @initialize(with_pins=st.booleans())
    def open_hotel(self, with_pins: bool) -> None:
        """In half of the hotels no room is ever pinned, so that pins explain no refusal."""
        self.with_pins = with_pins
        self.partition.execute(commands.OpenHotel(HOTEL, hotel_request(ROOMS)))

    @rule(target=bookings, requests=st.lists(stays, min_size=1, max_size=6))
    def book(self, requests: list[tuple[str, int, int, int | None]]) -> Any:
        return multiple(*filter(None, [self.book_one(*stay) for stay in requests]))

    def book_one(self, room_type: str, arrival: int, nights: int, hold: int | None) -> str | None:
        """The id of the booking; None if it was refused."""
        arrival_night = self.today + arrival
        terms = {} if hold is None else {"status": "held", "hold_seconds": hold}
        answer = self.execute(commands.BookRoom(HOTEL, request(arrival_night, nights, room_type, **terms)))
        if not self.was_booked(answer, self.sold_out_nights(room_type, arrival_night, arrival_night + nights)):
            return None
        expires_at = None if hold is None else self.partition.at + hold * 1_000_000
        departure_night, status = arrival_night + nights, answer.booking.status.value
        self.stays[answer.booking.id] = Stay(room_type, arrival_night, departure_night, status, expires_at)
        return answer.booking.id

    @rule(requests=stays)
    def join_waitlist(self, requests: tuple[str, int, int, int | None]) -> None:
        room_type, arrival, nights, _ = requests
        arrival_night = self.today + arrival
        stay = request(arrival_night, nights, room_type)
        dates = {"arrival": stay.arrival, "departure": stay.departure}
        answer = self.execute(
            commands.JoinWaitlist(HOTEL, WaitlistRequest(room_type=room_type, guest=stay.guest, **dates))
        )
        if isinstance(answer, WaitlistReply):
            assert self.sold_out_nights(room_type, arrival_night, arrival_night + nights) or self.has_pins
            self.waiting[answer.entries[0].id] = Stay(room_type, arrival_night, arrival_night + nights, "waiting")
        else:
            assert answer == RoomsStillAvailable(room_type)
            assert not self.sold_out_nights(room_type, arrival_night, arrival_night + nights)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave_waitlist(self, data: st.DataObject) -> None:
        entry = data.draw(st.sampled_from(sorted(self.waiting)))
        assert isinstance(self.execute(commands.LeaveWaitlist(HOTEL, entry)), WaitlistReply)
        del self.waiting[entry]
        assert self.execute(commands.LeaveWaitlist(HOTEL, entry)) == refusals.NotFound("waitlist entry", entry)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), arrival=st.integers(0, NIGHTS_AHEAD), nights=st.integers(1, 4))
    def change_waitlist(self, data: st.DataObject, arrival: int, nights: int) -> None:
        entry = data.draw(st.sampled_from(sorted(self.waiting)))
        stay, first, end = self.waiting[entry], self.today + arrival, self.today + arrival + nights
        dates = WaitlistChange(arrival=night(first), departure=night(end))
        if isinstance(answer := self.execute(commands.ChangeWaitlistEntry(HOTEL, entry, dates)), WaitlistReply):
            if not stay.arrival <= first < end <= stay.departure:
                del self.waiting[entry]  # it goes to the end
            stay.arrival, stay.departure = first, end
            self.waiting[entry] = stay
        else:
            assert answer == RoomsStillAvailable(stay.room_type)
            assert not self.sold_out_nights(stay.room_type, first, end)

    def apply_offers(self) -> None:
        """The oldest entry of the waitlist is offered a room as soon as one is free."""
        reply = self.partition.execute(ListWaitlist(HOTEL))
        waiting = [entry.id for entry in reply.entries] if isinstance(reply, WaitlistReply) else []
        for id_, stay in list(self.waiting.items()):
            if stay.arrival < self.today:
                assert id_ not in waiting
                del self.waiting[id_]
            elif id_ in waiting:
                assert self.sold_out_nights(stay.room_type, stay.arrival, stay.departure) or self.has_pins, (id_, stay)
            else:
                assert not self.sold_out_nights(stay.room_type, stay.arrival, stay.departure), (id_, stay)
                stay.status, stay.expires_at = "held", self.partition.at + limits.waitlist_offer_seconds * 1_000_000
                self.stays[id_] = self.waiting.pop(id_)
                self.offers.append(id_)
        assert waiting == list(self.waiting)

    @precondition(lambda self: self.offers)
    @rule(target=bookings)
    def take_offer(self) -> str:
        """An offer is a hold like any other."""
        return self.offers.pop()

    @rule(
        booking=bookings,
        action=st.sampled_from([commands.ConfirmBooking, commands.ReleaseHold, commands.CancelBooking]),
    )
    def settle(self, booking: str, action: Any) -> None:
        before = {"confirm": "held", "release": "held", "cancel": "confirmed"}[action.action]
        after = {"confirm": "confirmed", "release": "released", "cancel": "cancelled"}[action.action]
        if self.is_allowed(self.execute(action(HOTEL, booking)), booking, self.stays[booking].status == before):
            self.stays[booking].status, self.stays[booking].expires_at = after, None

    @rule(booking=bookings, seconds=st.integers(30, 7_200))
    def extend(self, booking: str, seconds: int) -> None:
        answer = self.execute(commands.ExtendHold(HOTEL, booking, seconds))
        stay = self.stays[booking]
        if self.is_allowed(answer, booking, stay.status == "held"):
            stay.expires_at = max(stay.expires_at or 0, self.partition.at + seconds * 1_000_000)
            assert answer.booking.expires_at == stay.expires_at

    @rule(booking=bookings)
    def check_in(self, booking: str) -> None:
        stay = self.stays[booking]
        answer = self.execute(commands.CheckInGuest(HOTEL, booking, accept_not_clean=True))
        expected = stay.status == "confirmed" and stay.arrival <= self.today
        if isinstance(answer, RoomOccupied):
            assert expected
            assert self.inside[answer.room] == answer.booking
        elif self.is_allowed(answer, booking, expected):
            self.enter(booking, answer.booking.room)
            self.came_on[booking] = self.today

    @rule(booking=bookings)
    def undo_check_in(self, booking: str) -> None:
        answer = self.execute(commands.UndoCheckIn(HOTEL, booking))
        if self.is_allowed(answer, booking, booking in self.inside.values() and self.came_on[booking] == self.today):
            self.leave(booking)
            self.stays[booking].status = "confirmed"

    @rule(booking=bookings, reason=st.sampled_from([None, *DepartureReason]))
    def check_out(self, booking: str, reason: DepartureReason | None) -> None:
        stay = self.stays[booking]
        answer = self.execute(commands.CheckOutGuest(HOTEL, booking, reason))
        expected = stay.status == "in_house"
        if expected and isinstance(answer, refusals.InvalidRequest):
            assert (stay.arrival == self.today) == (reason is not DepartureReason.DAY_USE)
        elif self.is_allowed(answer, booking, expected):
            self.booked[booking], self.left_on[booking] = stay.departure, self.today
            self.leave(booking)
            stay.status, stay.departure = "checked_out", min(stay.departure, self.today)
            if stay.departure == stay.arrival and reason is DepartureReason.EARLY:
                stay.status, stay.departure = "left", stay.arrival + 1  # and keeps the night

    @rule(booking=bookings)
    def undo_check_out(self, booking: str) -> None:
        stay = self.stays[booking]
        answer = self.execute(commands.UndoCheckOut(HOTEL, booking))
        expected = stay.status in ("left", "checked_out") and self.left_on[booking] == self.today
        if not expected or booking in self.forgotten:
            self.is_allowed(answer, booking, False)
        elif isinstance(answer, RoomOccupied):
            assert self.inside[answer.room] == answer.booking
        elif self.was_booked(answer, self.sold_out_nights(stay.room_type, self.today, self.booked[booking], booking)):
            stay.departure = self.booked[booking]
            self.enter(booking, answer.booking.room)

    @rule(booking=bookings)
    def no_show(self, booking: str) -> None:
        stay = self.stays[booking]
        answer = self.execute(commands.MarkNoShow(HOTEL, booking))
        if self.is_allowed(answer, booking, stay.status == "confirmed" and stay.arrival <= self.today):
            stay.status, stay.kept_until = "no_show", min(self.today, stay.departure)

    @rule(booking=bookings)
    def reinstate(self, booking: str) -> None:
        stay = self.stays[booking]
        is_in_time = stay.departure > self.today and (stay.status == "no_show" or stay.arrival >= self.today)
        is_late_arrival = stay.status == "no_show" and stay.departure == self.today == stay.kept_until
        expected = stay.status in ("no_show", "cancelled") and (is_in_time or is_late_arrival)
        answer = self.execute(commands.ReinstateBooking(HOTEL, booking))
        nights = self.sold_out_nights(stay.room_type, stay.arrival, stay.departure)
        if not expected or booking in self.forgotten:
            self.is_allowed(answer, booking, False)
        elif self.was_booked(answer, nights):
            stay.status = "confirmed"
            self.check_kept_nights(stay, answer.booking)

    @rule(booking=bookings)
    def forget(self, booking: str) -> None:
        answer = self.execute(commands.ForgetGuest(HOTEL, booking))
        if self.stays[booking].status in HOLDING:
            assert answer == GuestHasStays(booking, (booking,), ())
        else:
            assert isinstance(answer, GuestReply), answer
            self.forgotten.add(booking)

    @rule(booking=bookings, notes=st.sampled_from(["", "late", "vegan"]))
    def note(self, booking: str, notes: str) -> None:
        stay = self.stays[booking]
        answer = self.execute(commands.ChangeBooking(HOTEL, booking, BookingChange(notes=notes)))
        if self.is_allowed(answer, booking, stay.status in HOLDING):
            assert answer.booking.guest.details.notes == notes

    @rule(booking=bookings, arrival=st.integers(0, NIGHTS_AHEAD), nights=st.integers(1, 4))
    def change_dates(self, booking: str, arrival: int, nights: int) -> None:
        stay, arrival_night = self.stays[booking], self.today + arrival
        change = BookingChange(arrival=night(arrival_night), departure=night(arrival_night + nights))
        answer = self.execute(commands.ChangeBooking(HOTEL, booking, change))
        if stay.status not in ("held", "confirmed"):
            if isinstance(answer, SoldOut):  # the guest is in house, and cannot extend the stay
                sold_out = self.sold_out_nights(stay.room_type, stay.arrival, arrival_night + nights, booking)
                self.was_booked(answer, sold_out)
                return
            refused = refusals.ActionNotAllowed | refusals.NotFound | refusals.InvalidRequest | NoSingleRoom
            if isinstance(answer, RoomTaken):
                assert self.has_pins
                return
            assert isinstance(answer, refused | BookingReply), answer
            if isinstance(answer, BookingReply):
                stay.arrival, stay.departure = self.dates(answer.booking)
            return
        sold_out = self.sold_out_nights(stay.room_type, arrival_night, arrival_night + nights, booking)
        if self.was_booked(answer, sold_out):
            stay.arrival, stay.departure = arrival_night, arrival_night + nights

    @precondition(lambda self: self.with_pins)
    @rule(booking=bookings, pinned=st.booleans())
    def pin(self, booking: str, pinned: bool) -> None:
        stay = self.stays[booking]
        answer = self.execute((commands.PinBooking if pinned else commands.UnpinBooking)(HOTEL, booking))
        if self.is_allowed(answer, booking, stay.status in ("held", "confirmed") and stay.pinned != pinned):
            stay.pinned = pinned
            self.has_pins = True

    @precondition(lambda self: self.with_pins)
    @rule(booking=bookings, room=st.sampled_from(["101", "102", "103"]))
    def move(self, booking: str, room: str) -> None:
        stay = self.stays[booking]
        if stay.room_type != "DBL" or stay.departure <= self.today or stay.arrival < self.today:
            return
        answer = self.execute(commands.MoveBooking(HOTEL, booking, room=room))
        if stay.status not in HOLDING:
            self.is_allowed(answer, booking, False)
        elif isinstance(answer, RoomOccupied):
            assert self.inside[answer.room] == answer.booking
        elif not isinstance(answer, BookingReply):
            assert isinstance(answer, RoomTaken), answer
        else:
            assert answer.booking.room == room
            self.has_pins = True  # a divided stay is not moved by the hotel
            if stay.status == "in_house":
                self.enter(booking, room)

    @precondition(lambda self: self.with_pins)
    @rule(one=bookings, other=bookings)
    def swap(self, one: str, other: str) -> None:
        stays = [self.stays[one], self.stays[other]]
        if any(stay.departure <= self.today or stay.room_type != "DBL" for stay in stays):
            return
        answer = self.execute(commands.SwapRooms(HOTEL, one, with_=other))
        if isinstance(answer, BookingReply):
            assert all(stay.status in HOLDING for stay in stays)
            self.has_pins = True
            found = [self.partition.booking_after(FindBooking(HOTEL, booking)) for booking in (one, other)]
            for booking in found:
                if booking.status.value == "in_house":
                    self.leave(booking.id)
            for booking in found:
                if booking.status.value == "in_house":
                    self.enter(booking.id, booking.room)
        else:
            refused = refusals.ActionNotAllowed | refusals.NotFound | refusals.InvalidRequest | RoomTaken | RoomOccupied
            assert isinstance(answer, refused), answer

    @rule(seconds=st.sampled_from([1, 59, 60, 3_600, 90_000]))
    def tick(self, seconds: int) -> None:
        self.partition.advance_clock(seconds)
        for stay in self.stays.values():
            if stay.status == "held" and stay.expires_at is not None and stay.expires_at <= self.partition.at:
                stay.status, stay.expires_at = "expired", None

    @rule(days=st.integers(0, 2))
    def audit(self, days: int) -> None:
        answer = self.execute(commands.RollBusinessDate(HOTEL, night(self.today + days)))
        assert isinstance(answer, NightAuditReply)
        counted = {"no_shows": 0, "overstays": 0, "holds_expired": 0}
        for _ in range(days):  # without a new date nothing changes
            self.today += 1
            for stay in self.stays.values():
                due = {"confirmed": ("no_show", stay.arrival), "held": ("expired", stay.arrival)}
                if stay.status == "in_house" and stay.departure < self.today:
                    stay.departure = self.today
                    counted["overstays"] += 1
                after, day = due.get(stay.status, ("", self.today))
                if day < self.today:
                    stay.status, stay.expires_at = after, None
                    stay.kept_until = min(self.today, stay.departure)
                    counted[{"no_show": "no_shows", "expired": "holds_expired"}[after]] += 1
        assert counted == {n: sum(getattr(one.report, n).count for one in answer.closed) for n in counted}

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def repeat_command(self, data: st.DataObject) -> None:
        key, command, response = data.draw(st.sampled_from(self.answers))
        repeated = self.partition.result(command, key)
        if {guest.id for guest in guests_in(response) if guest.details is not None} & self.forgotten:
            response = refusals.GuestErased()
        assert (repeated.response, repeated.replayed) == (response, True)
        other = self.partition.result(DescribeHotelState(HOTEL), key)
        assert other.response == refusals.IdempotencyKeyReused()

    @rule(snapshot=st.booleans())
    def restart(self, snapshot: bool) -> None:
        if snapshot:
            self.partition.host.save_snapshots(after_events=1)
        at = self.partition.at
        self.partition.host.close()
        self.partition = PartitionFixture(SqliteJournal(self.path), at)

    @invariant()
    def bookings_agree_with_the_model(self) -> None:
        self.apply_offers()
        state = self.partition.execute(DescribeHotelState(HOTEL))
        for booking in state.bookings if isinstance(state, HotelStateReply) else ():
            stay = self.stays[booking.id]
            status = "checked_out" if stay.status == "left" else stay.status
            assert (booking.status.value, booking.pinned) == (status, stay.pinned)
            assert self.dates(booking) == (stay.arrival, stay.departure)
            assert (self.inside.get(booking.room) == booking.id) == (stay.status == "in_house")
        for room in state.rooms if isinstance(state, HotelStateReply) else ():
            assert room.guests == tuple(filter(None, [self.inside.get(room.room)]))

    @invariant()
    def availability_agrees_with_the_model(self) -> None:
        self.apply_offers()
        reply = self.partition.execute(FindAvailability(HOTEL, night(self.today), night(self.today + 10)))
        for kind in reply.types if isinstance(reply, AvailabilityReply) else ():
            code = kind.room_type.code
            left = [
                self.rooms_on(code, self.today + number) - self.rooms_taken(code, self.today + number)
                for number in range(10)
            ]
            assert list(kind.nights) == left, code

    @invariant()
    def the_journal_agrees_with_the_state(self) -> None:
        journal = self.partition.host.journal
        records = [record for _, record in journal.read()]
        auditor = ReservationsAuditor()
        auditor.handle(records)
        assert auditor.violations == []
        if records:
            folded, (rebuilt, _) = HOTEL_TYPE.fold(HotelState(), records), rebuild(journal, HOTEL, HOTEL_TYPE)
            assert rebuilt is not None
            assert encode(describe(folded)) == encode(describe(rebuilt)) == encode(self.partition.host.describe(HOTEL))
            for booking in rebuilt.bookings.values():
                assert self.partition.execute(FindBooking(HOTEL, booking.id)) == BookingReply(booking)
                assert (booking.guest.details is None) == (booking.id in self.forgotten)


TestPartition = pytest.mark.slow(PartitionMachine.TestCase)
TestPartition.settings = machine_settings(examples=30, steps=40)
