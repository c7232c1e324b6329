"""A naive model of a hotel beside a partition, for state machines: a list of stays, a count per night, and who is in.

It knows nothing of calendars, allocation or moves, and so can say what must be accepted (P4), what must be refused
(P2), and the status of each booking.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.refusals import NoSingleRoom, RoomTaken, SoldOut
from innkeeper.protocol.reservations.replies import BookingReply, PreviewReply
from innkeeper.storage.sqlite.journal import SqliteJournal
from msgspec.structs import replace
from support.partition_fixture import PartitionFixture, night

ROOMS = {"DBL": 3, "STE": 1}
NIGHTS_AHEAD = 6
HOLDING = {"held", "confirmed", "in_house"}
OCCUPYING = HOLDING | {"left"}  # a guest who leaves on the day of arrival keeps the night


stays = st.tuples(
    st.sampled_from(["DBL", "DBL", "DBL", "STE"]),
    st.integers(0, NIGHTS_AHEAD),
    st.integers(1, 4),
    st.sampled_from([None, None, None, 60, 3_600]),
)
"""Requests: room type, days until the arrival, nights, and the seconds of a hold."""


@dataclass
class Stay:
    """One booking in the model; nights count from the first business date."""

    room_type: str
    arrival: int
    departure: int
    status: str
    expires_at: int | None = None
    pinned: bool = False
    kept_until: int = 0


def expected_preview(answer: Any, seen: Any) -> Any:
    """What a preview should have said before this answer; the hashes of guests are salted, and ids new."""
    if not isinstance(answer, BookingReply):
        return answer if isinstance(answer, refusals.Refusal) else seen
    booking, guest = answer.booking, seen.booking.guest
    assert guest.details == booking.guest.details
    new = {} if seen.booking.id else {"id": "", "locator": ""}
    return PreviewReply(replace(booking, guest=guest, **new), seen.moves)


class HotelModel(RuleBasedStateMachine):
    """A hotel of four rooms, what should be true of it, and the partition that has it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="innkeeper-")
        self.path = Path(self.folder.name) / "journal.db"
        self.partition = PartitionFixture(SqliteJournal(self.path))
        self.stays: dict[str, Stay] = {}
        self.waiting: dict[str, Stay] = {}
        self.offers: list[str] = []
        self.inside: dict[str, str] = {}  # who is in which room
        self.booked: dict[str, int] = {}  # the departure of those who left early
        self.left_on: dict[str, int] = {}
        self.came_on: dict[str, int] = {}
        self.forgotten: set[str] = set()  # guests have the ids of their bookings
        self.today = 0
        self.with_pins = self.has_pins = False
        self.answers: list[tuple[str, Any, Any]] = []
        self.keys = 0

    def teardown(self) -> None:
        """Close and delete the journal."""
        self.partition.host.close()
        self.folder.cleanup()

    def rooms_taken(self, room_type: str, number: int, except_for: str = "") -> int:
        """How many rooms of a type are taken in a night."""
        return sum(
            stay.room_type == room_type and stay.status in OCCUPYING and stay.arrival <= number < stay.departure
            for id_, stay in self.stays.items()
            if id_ != except_for
        )

    def rooms_on(self, room_type: str, number: int) -> int:
        """How many rooms of a type there are in a night."""
        return ROOMS[room_type]

    def sold_out_nights(self, room_type: str, arrival: int, departure: int, except_for: str = "") -> list[int]:
        """The nights on which no room of the type is left."""
        nights = range(max(arrival, self.today), departure)
        return [
            number
            for number in nights
            if self.rooms_taken(room_type, number, except_for) >= self.rooms_on(room_type, number)
        ]

    def execute(self, command: Command) -> Any:
        """Execute a command with a new key, and keep the answer for a repetition."""
        self.keys += 1
        key = f"key-{self.keys}"
        self.partition.advance_clock(0)
        position = self.partition.host.journal.position()
        seen = self.partition.preview(command)
        assert self.partition.host.journal.position() == position
        answer = self.partition.result(command, key)
        assert seen == expected_preview(answer.response, seen)
        assert not answer.replayed
        assert not isinstance(answer.response, refusals.Unavailable), answer
        self.answers.append((key, command, answer.response))
        return answer.response

    def was_booked(self, answer: Any, nights: list[int]) -> bool:
        """Whether a stay was booked. It may be refused only for these nights, or where rooms are pinned."""
        if isinstance(answer, SoldOut):
            assert answer.nights == tuple(night(number) for number in nights), (answer, nights)
            return False
        assert not nights, (answer, nights)
        if isinstance(answer, NoSingleRoom | RoomTaken):
            assert self.has_pins, answer
            return False
        assert isinstance(answer, BookingReply), answer
        return True

    def is_allowed(self, answer: Any, booking: str, expected: bool) -> bool:
        """Whether the action was done. It must be done or refused as the model expects."""
        if expected:
            assert isinstance(answer, BookingReply), (answer, self.stays[booking])
            return True
        assert isinstance(answer, refusals.ActionNotAllowed | refusals.NotFound), (answer, self.stays[booking])
        return False

    def check_kept_nights(self, stay: Stay, reinstated: Booking) -> None:
        """Of a reinstated booking, the nights that were kept or are left have a price, and no other."""
        assert [line.amount > 0 for line in reinstated.lines] == [
            number < stay.kept_until or number >= self.today for number in range(stay.arrival, stay.departure)
        ]

    def enter(self, booking: str, room: str) -> None:
        """The guest is in a room, alone."""
        assert self.inside.get(room, booking) == booking
        self.leave(booking)
        self.inside[room] = booking
        self.stays[booking].status = "in_house"

    def leave(self, booking: str) -> None:
        """The guest is in no room."""
        self.inside = {room: inside for room, inside in self.inside.items() if inside != booking}

    def dates(self, booking: Booking) -> tuple[int, int]:
        """Arrival and departure in nights of the model."""
        return (booking.arrival - night(0)).days, (booking.departure - night(0)).days
