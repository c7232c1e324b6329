"""A hotel with one booking that takes the steps of its life, and all that follows its events."""

from collections.abc import Callable
from datetime import timedelta

import msgspec
from innkeeper.actors.notifications.rules.known_bookings import KnownBooking
from innkeeper.actors.notifications.rules.known_hotel import KnownHotel
from innkeeper.actors.notifications.rules.notices import handle
from innkeeper.actors.reservations.rules.overstays import overstay_events
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import BookingStatus, RoomSegment
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.reservations.reasons import DepartureReason, MoveReason
from innkeeper.protocol.reservations.replies import BookingReply
from innkeeper.protocol.reservations.requests import BookingChange, Contact
from innkeeper.protocol.values.guests import new_guest
from innkeeper.storage.audit.reservations import ReservationsAuditor
from innkeeper.storage.sqlite.read_model_file import ReadModelFile, Totals
from innkeeper.storage.sqlite.read_model_step import ReadModelStep
from support.billing_fixture import LedgerFixture
from support.partition_fixture import HOTEL, TODAY, night, request

HOUR_SECONDS = 3_600


class FollowedHotel(LedgerFixture):
    """A hotel with one guest, and all that follows its events: the ledger, notices, read models and the auditor."""

    def __init__(self, file: ReadModelFile) -> None:
        """`file` is that of the read models; it is emptied."""
        self.auditor = ReservationsAuditor()
        self.known_hotel: KnownHotel | None = None
        self.known: KnownBooking | None = None
        self.file = file
        for name in ("hotels", "bookings", "history", "guests"):
            file.db.execute(f"DELETE FROM {name}")
        file.totals = Totals()
        self.hotels: dict[str, Hotel] = {}
        self.booking = ""
        super().__init__()

    def record_hotel_events(self, events: tuple[Event, ...]) -> None:
        before = len(self.hotel_records)
        super().record_hotel_events(events)
        self.auditor.handle(self.hotel_records[before:])

    def apply_hotel_event(self, record: RecordedEvent) -> list[Event]:
        step = ReadModelStep(self.file, self.hotels)
        self.file.totals = step.handle([(record.hotel_seq, record)], b"")
        self.hotels |= step.changed_hotels
        decision = handle(self.known_hotel, self.known, record)
        self.known_hotel, self.known = decision.hotel, decision.booking
        return super().apply_hotel_event(record)

    def take(self, step: str) -> set[type[Event]]:
        """Takes a step of the booking's life; the types of its events."""
        before = len(self.hotel_records)
        STEPS[step](self)
        return {type(record.event) for record in self.hotel_records[before:]}

    def statuses(self) -> dict[str, BookingStatus]:
        """The booking's status, as each part has it."""
        (in_tables,) = self.file.db.execute("SELECT status FROM bookings WHERE id = ?", (self.booking,)).fetchone()
        assert self.known is not None
        return {
            "the hotel": self.hotel_state.bookings[self.booking].status,
            "the read models": BookingStatus(in_tables),
            "billing": self.bill(self.booking).stay.status,
            "notifications": self.known.status,
        }


def _book(hotel: FollowedHotel, status: str) -> None:
    guest = Contact("Ann", "ann@example.com")
    wanted = request(0, 3, status=status, hold_seconds=HOUR_SECONDS if status == "held" else None)
    command = commands.BookRoom(HOTEL, msgspec.structs.replace(wanted, guest=guest))
    hotel.execute_on_hotel(command)
    hotel.booking = next(iter(hotel.hotel_state.bookings))


def _do(make: Callable[[str], Command]) -> Callable[[FollowedHotel], None]:
    def do(hotel: FollowedHotel) -> None:
        hotel.execute_on_hotel(make(hotel.booking))

    return do


def _change(fields: Callable[[FollowedHotel], BookingChange]) -> Callable[[FollowedHotel], None]:
    return lambda hotel: _do(lambda booking: commands.ChangeBooking(HOTEL, booking, fields(hotel)))(hotel)


def _longer(hotel: FollowedHotel) -> BookingChange:
    return BookingChange(departure=night((hotel.hotel_state.bookings[hotel.booking].departure - TODAY).days + 1))


def _reminder(hotel: FollowedHotel) -> BookingChange:
    return BookingChange(reminder_on=TODAY if hotel.hotel_state.bookings[hotel.booking].reminder_on is None else None)


def _move(hotel: FollowedHotel) -> None:
    room = "103" if hotel.hotel_state.bookings[hotel.booking].room == "102" else "102"
    hotel.execute_on_hotel(commands.MoveBooking(HOTEL, hotel.booking, room=room))


def _swap(hotel: FollowedHotel) -> None:
    other = hotel.execute_on_hotel(commands.BookRoom(HOTEL, request(0, 3)))
    assert isinstance(other, BookingReply)
    hotel.execute_on_hotel(commands.SwapRooms(HOTEL, hotel.booking, with_=other.booking.id))


def _check_out(hotel: FollowedHotel) -> None:
    arrived_today = hotel.hotel_state.bookings[hotel.booking].arrival == hotel.hotel_state.opened().business_date
    reason = DepartureReason.EARLY if arrived_today else None
    hotel.execute_on_hotel(commands.CheckOutGuest(HOTEL, hotel.booking, reason))


def _overstay(hotel: FollowedHotel) -> None:
    until = hotel.hotel_state.bookings[hotel.booking].departure + timedelta(days=1)
    hotel.record_hotel_events(tuple(overstay_events(hotel.hotel_state, until, hotel.at, set())))


def _lose_room(hotel: FollowedHotel) -> None:
    """Who has not left keeps the room tonight."""
    stay = hotel.hotel_state.bookings[hotel.booking]
    kept = stay.arrival if stay.status is BookingStatus.CHECKED_OUT else night(1)
    rooms = (RoomSegment(stay.room, stay.arrival, kept), RoomSegment(None, kept, stay.departure))
    parts = tuple(part for part in rooms if part.first < part.until)
    hotel.record_hotel_events((events.RoomUnassigned(stay.id, stay.room, parts, MoveReason.OVERSTAY),))


def _give_address(hotel: FollowedHotel) -> None:
    """The guest's address changes at another booking."""
    guest = hotel.hotel_state.bookings[hotel.booking].guest
    assert guest.details is not None
    details = msgspec.structs.replace(guest.details, email=f"ann-{len(hotel.hotel_records)}@example.com")
    changed = new_guest(HOTEL, guest.id, hotel.hotel_state.seq + 1, details, b"salt")
    hotel.record_hotel_events((events.GuestChanged(hotel.booking, changed),))


STEPS: dict[str, Callable[[FollowedHotel], None]] = {
    "hold": lambda hotel: _book(hotel, "held"),
    "book": lambda hotel: _book(hotel, "confirmed"),
    "expire": lambda hotel: hotel.advance_clock(25 * HOUR_SECONDS * 1_000_000),
    "change": _change(_longer),
    "note": _change(lambda hotel: BookingChange(notes=f"note {len(hotel.hotel_records)}")),
    "address": _give_address,
    "remind": _change(_reminder),
    "move": _move,
    "confirm": _do(lambda booking: commands.ConfirmBooking(HOTEL, booking)),
    "release": _do(lambda booking: commands.ReleaseHold(HOTEL, booking)),
    "extend": _do(lambda booking: commands.ExtendHold(HOTEL, booking, 24 * HOUR_SECONDS)),
    "cancel": _do(lambda booking: commands.CancelBooking(HOTEL, booking)),
    "reinstate": _do(lambda booking: commands.ReinstateBooking(HOTEL, booking)),
    "check-in": _do(lambda booking: commands.CheckInGuest(HOTEL, booking)),
    "undo-check-in": _do(lambda booking: commands.UndoCheckIn(HOTEL, booking)),
    "check-out": _check_out,
    "undo-check-out": _do(lambda booking: commands.UndoCheckOut(HOTEL, booking)),
    "overstay": _overstay,
    "lose room": _lose_room,
    "get room": lambda hotel: hotel.advance_clock(1),
    "swap": _swap,
    "no-show": _do(lambda booking: commands.MarkNoShow(HOTEL, booking)),
    "pin": _do(lambda booking: commands.PinBooking(HOTEL, booking)),
    "unpin": _do(lambda booking: commands.UnpinBooking(HOTEL, booking)),
}
