"""The auditor proves that no room is out of order for a guest, or given up by mistake, with code of its own."""

from collections.abc import Sequence
from datetime import date

import pytest
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import events, room_events
from innkeeper.protocol.reservations.booking import RoomSegment
from innkeeper.protocol.reservations.hotel import HotelClock
from innkeeper.protocol.reservations.room_events import ClosureKind
from innkeeper.protocol.reservations.terms import TermsOfSale
from innkeeper.protocol.values.guests import Guest
from innkeeper.storage.audit.reservations import ReservationsAuditor
from support.partition_fixture import TODAY, night, price_lines

OPENED = (
    events.HotelOpened(
        "Seaside", "Europe/Lisbon", "EUR", "15:00", "11:00", "manual", TODAY, TermsOfSale(), clock=HotelClock.SIMULATED
    ),
    events.RoomTypeAdded("DBL", "Double", 2, 10_000),
    events.RoomAdded("101", "DBL"),
    events.RoomAdded("102", "DBL"),
)
CHECKED_IN = events.GuestCheckedIn("b-1", "101", TODAY)


def booked(first: int, nights: int, room: str = "101") -> events.BookingConfirmed:
    """A booking of this room."""
    arrival, departure = night(first), night(first + nights)
    return events.BookingConfirmed(
        booking="b-1",
        locator="3B34MP",
        room_type="DBL",
        rooms=(RoomSegment(room, arrival, departure),),
        arrival=arrival,
        departure=departure,
        adults=1,
        guest=Guest("g-1", 1, b""),
        lines=price_lines(arrival, nights),
        terms=1,
        free_until=0,
        late_fee=0,
        no_show_fee=0,
    )


def closed(
    first: int, until: int, closure: str = "c-1", kind: ClosureKind = ClosureKind.OUT_OF_ORDER
) -> room_events.RoomClosed:
    """A closure of room 101."""
    return room_events.RoomClosed(closure, "101", kind, night(first), night(until))


def violations(history: Sequence[Event]) -> list[str]:
    """What the auditor finds in a hotel with this history, each event of which is a command of its own."""
    records = [
        RecordedEvent("inn", seq, 0, "", "", "" if seq <= len(OPENED) else f"command-{seq}", event)
        for seq, event in enumerate((*OPENED, *history), 1)
    ]
    auditor = ReservationsAuditor()
    auditor.handle(records)
    return auditor.violations


@pytest.mark.parametrize(
    "history",
    [
        (closed(1, 3), booked(3, 2)),
        (booked(3, 2), closed(1, 3)),
        (closed(1, 3, kind=ClosureKind.OUT_OF_SERVICE), booked(1, 2)),
        (closed(1, 3), room_events.RoomReopened("c-1"), booked(1, 2)),
        (closed(1, 3), room_events.RoomClosureChanged("c-1", night(1), night(2)), booked(2, 1)),
        (closed(0, 1), events.BusinessDateRolled(TODAY, night(1)), booked(1, 1), closed(2, 3)),
        (closed(1, 3), closed(3, 5, "c-2")),
        (room_events.RoomRetired("101"), events.RoomAdded("101", "DBL"), booked(1, 1)),
        (room_events.RoomRetired("101"), booked(1, 1, "102")),
    ],
)
def test_what_a_hotel_may_do_is_no_violation(history: Sequence[Event]) -> None:
    assert violations(history) == []


@pytest.mark.parametrize(
    ("history", "found"),
    [
        ((closed(1, 3), booked(2, 2)), "c-1 and b-1 both hold room 101"),
        ((booked(2, 2), closed(1, 3)), "b-1 holds room 101"),
        ((closed(1, 2), room_events.RoomClosureChanged("c-1", night(1), night(3)), booked(2, 1)), "both hold"),
        ((closed(1, 3), closed(2, 5, "c-2")), "closures c-1 and c-2 both close room 101"),
        ((closed(3, 3),), "closure c-1 has no nights"),
        ((room_events.RoomReopened("c-1"),), "closure c-1 ends, but does not exist"),
        ((closed(0, 1), events.BusinessDateRolled(TODAY, night(1)), room_events.RoomReopened("c-1")), "or is over"),
        ((room_events.RoomRetired("101"), closed(1, 2)), "room 101 is closed, which does not exist"),
        ((room_events.RoomRetired("101"), booked(1, 1)), "has room 101, which does not exist"),
        ((booked(1, 1), room_events.RoomRetired("101")), "b-1 holds it"),
        ((booked(0, 1), CHECKED_IN, room_events.RoomRetired("101")), "a guest is in it"),
        ((room_events.RoomRetired("999"),), "is none of its rooms"),
    ],
)
def test_what_a_hotel_must_not_do_is_found(history: Sequence[Event], found: str) -> None:
    assert any(found in violation for violation in violations(history)), violations(history)


def test_a_night_is_named_by_its_date() -> None:
    (violation,) = violations((closed(1, 2), booked(1, 1)))
    assert str(date(2026, 6, 2)) in violation
