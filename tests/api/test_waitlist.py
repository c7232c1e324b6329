"""The waitlist: when a room becomes free, a sold-out stay is offered to the guest who has waited longest."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from innkeeper.actors.reservations.rules.night_audit import due_events
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.queries import DescribeHotelState, FindBooking, ListWaitlist
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.refusals import RoomsStillAvailable, SoldOut, WaitlistFull
from innkeeper.protocol.reservations.replies import BookingReply, WaitlistReply
from innkeeper.protocol.reservations.requests import BookingChange, Contact, WaitlistRequest
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.guests import GuestDetails
from innkeeper.storage.audit.reservations import ReservationsAuditor
from support.gateway import Gateway, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.notifications_fixture import NotificationsFixture
from support.partition_fixture import HOTEL, PartitionFixture, night, partition_fixture, request

BEA = Contact("Bea", "bea@example.com")
_guests = count(1)


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[PartitionFixture]:
    """A hotel with one double and one suite."""
    with partition_fixture(tmp_path / "journal.db") as opened:
        opened.open_hotel({"DBL": 1, "STE": 1})
        yield opened


def waitlist_request(arrival: int = 1, nights: int = 1, room_type: str = "DBL", **more: Any) -> WaitlistRequest:
    """A request of another guest to wait for a stay."""
    requested = request(arrival, nights, room_type)
    fields = {"guest": Contact("Bea", f"guest-{next(_guests)}@example.com")} | more
    return WaitlistRequest(room_type=room_type, arrival=requested.arrival, departure=requested.departure, **fields)


def join(partition: PartitionFixture, *dates: Any, **more: Any) -> str:
    """Join the waitlist; the id of the entry."""
    reply = partition.execute(commands.JoinWaitlist(HOTEL, waitlist_request(*dates, **more)))
    assert isinstance(reply, WaitlistReply), reply
    return reply.entries[0].id


def waiting_entries(partition: PartitionFixture) -> list[str]:
    """The ids of the entries on the waitlist, in order."""
    reply = partition.execute(ListWaitlist(HOTEL))
    assert isinstance(reply, WaitlistReply)
    return [entry.id for entry in reply.entries]


def status(partition: PartitionFixture, booking: str) -> BookingStatus | None:
    reply = partition.execute(FindBooking(HOTEL, booking))
    return reply.booking.status if isinstance(reply, BookingReply) else None


def test_a_cancelled_room_is_held_for_the_guest_who_waited_longest(partition: PartitionFixture) -> None:
    taken = partition.book(1, 2)
    first, second = join(partition, 1, 2, adults=2, notes="sea view", guest=BEA), join(partition, 1, 2)
    partition.booking_after(commands.CancelBooking(HOTEL, taken.id))
    offered = partition.execute(FindBooking(HOTEL, first))
    assert isinstance(offered, BookingReply)
    booking = offered.booking
    assert (booking.status, booking.room, booking.adults) == (BookingStatus.HELD, taken.room, 2)
    assert (booking.guest.details, booking.lines[0].total) == (
        GuestDetails("Bea", "bea@example.com", notes="sea view"), 10_000
    )  # fmt: skip
    (*_, made) = [record for _, record in partition.host.journal.read()]
    assert (made.by, made.cause) == ("system", first)  # made by the system, caused by the entry
    assert booking.expires_at == partition.at + limits.waitlist_offer_seconds * 1_000_000
    assert waiting_entries(partition) == [second]
    assert partition.booking_after(commands.ConfirmBooking(HOTEL, first)).status is BookingStatus.CONFIRMED


def test_an_expired_or_released_offer_goes_to_the_next_entry(partition: PartitionFixture) -> None:
    taken = partition.book(1, 2)
    first, second, third = (join(partition, 1, 2) for _ in range(3))
    partition.booking_after(commands.CancelBooking(HOTEL, taken.id))
    partition.advance_clock(limits.waitlist_offer_seconds)
    assert (status(partition, first), status(partition, second)) == (BookingStatus.EXPIRED, BookingStatus.HELD)
    partition.booking_after(commands.ReleaseHold(HOTEL, second))
    assert (status(partition, third), waiting_entries(partition)) == (BookingStatus.HELD, [])


def test_extending_an_offer_never_shortens_it(partition: PartitionFixture) -> None:
    taken = partition.book(1, 2)
    first = join(partition, 1, 2)
    partition.booking_after(commands.CancelBooking(HOTEL, taken.id))
    ends = partition.at + limits.waitlist_offer_seconds * 1_000_000
    extended = partition.booking_after(commands.ExtendHold(HOTEL, first))
    assert (extended.expires_at, extended.version) == (ends, 1)
    partition.advance_clock(limits.waitlist_offer_seconds - 1)
    assert status(partition, first) is BookingStatus.HELD
    assert (
        partition.booking_after(commands.ExtendHold(HOTEL, first)).expires_at
        == partition.at + limits.hold_seconds_default * 1_000_000
    )
    partition.advance_clock(1)
    assert status(partition, first) is BookingStatus.HELD


def free_by_cancelling(partition: PartitionFixture, booking: str) -> None:
    partition.booking_after(commands.CancelBooking(HOTEL, booking))


def free_by_no_show(partition: PartitionFixture, booking: str) -> None:
    partition.booking_after(commands.MarkNoShow(HOTEL, booking))


def free_by_leaving_early(partition: PartitionFixture, booking: str) -> None:
    partition.booking_after(commands.CheckInGuest(HOTEL, booking))
    partition.booking_after(commands.CheckOutGuest(HOTEL, booking, DepartureReason.DAY_USE))


def free_by_changing_dates(partition: PartitionFixture, booking: str) -> None:
    partition.booking_after(commands.ChangeBooking(HOTEL, booking, BookingChange(arrival=night(0), departure=night(1))))


def free_by_changing_type(partition: PartitionFixture, booking: str) -> None:
    partition.booking_after(commands.ChangeBooking(HOTEL, booking, BookingChange(room_type="STE")))


def free_by_upgrading(partition: PartitionFixture, booking: str) -> None:
    partition.booking_after(commands.MoveBooking(HOTEL, booking, room="201"))


@pytest.mark.parametrize("free", [
    free_by_cancelling, free_by_no_show, free_by_leaving_early, free_by_changing_dates, free_by_changing_type,
    free_by_upgrading,
])  # fmt: skip
def test_a_freed_room_is_offered_however_it_was_freed(partition: PartitionFixture, free: Any) -> None:
    taken = partition.book(0, 3)
    entry = join(partition, 1, 1)
    assert status(partition, entry) is None
    free(partition, taken.id)
    assert status(partition, entry) is BookingStatus.HELD


def test_unpinning_a_room_may_make_an_offer_possible(tmp_path: Path) -> None:
    with partition_fixture(tmp_path / "journal.db") as partition:
        partition.open_hotel({"DBL": 2})
        partition.book(1, 1, room="101")
        other = partition.book(2, 1, room="102")
        entry = join(partition, 1, 2)
        partition.booking_after(commands.UnpinBooking(HOTEL, other.id))
        assert status(partition, entry) is BookingStatus.HELD


def test_rooms_are_reassigned_for_an_offer(tmp_path: Path) -> None:
    with partition_fixture(tmp_path / "journal.db") as partition:
        partition.open_hotel({"DBL": 2})
        early, late, short = partition.book(1, 1), partition.book(2, 1), partition.book(1, 1)
        assert early.room == late.room != short.room
        second = partition.book(2, 1)
        entry = join(partition, 1, 2)
        partition.booking_after(commands.CancelBooking(HOTEL, early.id))
        assert status(partition, entry) is None  # the second night is still sold out
        partition.booking_after(commands.CancelBooking(HOTEL, second.id))
        assert status(partition, entry) is BookingStatus.HELD


def test_the_waitlist_precedes_a_booking_in_the_same_batch(partition: PartitionFixture) -> None:
    taken = partition.book(1)
    entry = join(partition, 1)
    _, refused = partition.execute_batch(
        [commands.CancelBooking(HOTEL, taken.id), commands.BookRoom(HOTEL, request(1))]
    )
    assert refused == SoldOut("DBL", (night(1),))
    assert status(partition, entry) is BookingStatus.HELD


def test_an_offer_goes_to_an_entry_that_needs_no_other_nights(partition: PartitionFixture) -> None:
    cancelled, _ = partition.book(1), partition.book(2)
    two_nights, one_night = join(partition, 1, 2), join(partition, 1, 1)
    partition.booking_after(commands.CancelBooking(HOTEL, cancelled.id))
    assert (waiting_entries(partition), status(partition, one_night)) == ([two_nights], BookingStatus.HELD)


def test_joining_is_refused_while_the_stay_can_be_booked(partition: PartitionFixture) -> None:
    assert partition.execute(commands.JoinWaitlist(HOTEL, waitlist_request(1))) == RoomsStillAvailable("DBL")


def test_a_guest_can_leave_the_waitlist_once(partition: PartitionFixture) -> None:
    taken = partition.book(1)
    entry = join(partition, 1)
    assert isinstance(partition.execute(commands.LeaveWaitlist(HOTEL, entry)), WaitlistReply)
    assert partition.execute(commands.LeaveWaitlist(HOTEL, entry)) == refusals.NotFound("waitlist entry", entry)
    partition.booking_after(commands.CancelBooking(HOTEL, taken.id))
    assert status(partition, entry) is None


def test_an_entry_is_removed_when_its_arrival_day_is_closed(partition: PartitionFixture) -> None:
    partition.booking_after(commands.CheckInGuest(HOTEL, partition.book(0, 2).id))
    entry, later = join(partition, 0), join(partition, 1)
    partition.execute(commands.RollBusinessDate(HOTEL))
    assert waiting_entries(partition) == [later]
    assert status(partition, entry) is None


def test_a_full_waitlist_refuses_another_entry(partition: PartitionFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "waitlist_entries_max", 2)
    partition.book(1)
    join(partition, 1)
    join(partition, 1)
    assert partition.execute(commands.JoinWaitlist(HOTEL, waitlist_request(1))) == WaitlistFull(2)


@pytest.mark.parametrize("snapshot", [False, True])
def test_the_waitlist_survives_a_restart(tmp_path: Path, snapshot: bool) -> None:
    path = tmp_path / "journal.db"
    with partition_fixture(path) as partition:
        partition.open_hotel({"DBL": 1})
        taken = partition.book(1)
        first, second = join(partition, 1), join(partition, 1)
        if snapshot:
            partition.host.save_snapshots(after_events=1)
    with partition_fixture(path) as partition:
        assert waiting_entries(partition) == [first, second]
        partition.booking_after(commands.CancelBooking(HOTEL, taken.id))
        assert (status(partition, first), waiting_entries(partition)) == (BookingStatus.HELD, [second])


def test_a_room_freed_before_a_crash_is_offered_after_the_restart(tmp_path: Path) -> None:
    """The journal ends before the offer, as if the cancellation had been in an earlier batch."""
    path = tmp_path / "journal.db"
    with partition_fixture(path) as partition:
        partition.open_hotel({"DBL": 1})
        taken = partition.book(1)
        entry = join(partition, 1)
        partition.booking_after(commands.CancelBooking(HOTEL, taken.id))
        records = [record for _, record in partition.host.journal.read()]
        guests = [*partition.host.journal.newest_guests([taken.guest.id, entry]).values()]
    with partition_fixture(tmp_path / "cut.db") as partition:
        partition.host.journal.write(records[:-1], (), guests)
        partition.host.journal.sync()
    with partition_fixture(tmp_path / "cut.db") as partition:
        assert partition.host.describe(HOTEL).hotel_seq == len(records) - 1, "a description decides nothing"
        partition.advance_clock(1)
        assert partition.host.journal.position() == len(records)
        assert status(partition, entry) is BookingStatus.HELD


def test_the_auditor_detects_an_offer_without_an_entry(partition: PartitionFixture) -> None:
    taken = partition.book(1)
    join(partition, 1)
    partition.booking_after(commands.CancelBooking(HOTEL, taken.id))
    records = [record for _, record in partition.host.journal.read()]
    complete_journal, incomplete_journal = ReservationsAuditor(), ReservationsAuditor()
    complete_journal.handle(records)
    assert complete_journal.violations == []
    incomplete_journal.handle(record for record in records if type(record.event).__name__ != "WaitlistJoined")
    assert any("is not on it" in violation for violation in incomplete_journal.violations)


def test_an_offer_causes_a_letter_of_its_own_kind() -> None:
    hotel = NotificationsFixture()
    taken = [hotel.book(arrival=10, nights=2).id for _ in range(3)]
    hotel.execute(commands.JoinWaitlist(HOTEL, waitlist_request(10, 2, guest=BEA)))
    hotel.immediate.clear()
    hotel.execute(commands.CancelBooking(HOTEL, taken[0]))
    hotel.apply_events(due_events(hotel.state, hotel.at)[1])
    offer = hotel.immediate[-1]
    assert (offer.kind.value, offer.recipient.email) == ("waitlist_offer", "bea@example.com")
    assert offer.expires_at == hotel.at + limits.waitlist_offer_seconds * 1_000_000
    assert hotel.scheduled_kinds()[-1] == "hold_expiring"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


def test_the_waitlist_over_http_from_joining_to_the_offer(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    taken = gateway.post(f"{hotel}/bookings", stay_request(2, 2)).json
    body = stay_request(2, 2, adults=2, notes="quiet", source="web", guest={"name": "Bea", "email": "bea@example.com"})
    reply = gateway.post(f"{hotel}/waitlist", body, {"Idempotency-Key": "wait-1"})
    entry = reply.json
    assert reply.status == 201
    assert reply.headers["location"] == f"{hotel}/waitlist/{entry['id']}"
    assert entry | {"id": "", "joined_at": ""} == {
        "id": "", "hotel": hotel.rpartition("/")[2], "room_type": "DBL", "arrival": "2026-06-03",
        "departure": "2026-06-05", "adults": 2, "children": [], "guest": {
            "id": entry["id"], "name": "Bea", "email": "bea@example.com", "phone": None, "address": [],
            "language": None, "forgotten": False,
        },
        "notes": "quiet", "source": "web", "joined_at": "", "joined_by": "front desk", "version": 1,
    }  # fmt: skip
    again = gateway.post(f"{hotel}/waitlist", body, {"Idempotency-Key": "wait-1"})
    assert (again.json, again.headers["idempotent-replayed"]) == (entry, "true")
    other = gateway.post(f"{hotel}/waitlist", body | {"guest": {"name": "Cleo"}}).json
    assert gateway.get(f"{hotel}/waitlist").json == {"data": [entry, other], "next_cursor": None}
    first = gateway.get(f"{hotel}/waitlist?limit=1").json
    assert first["data"] == [entry]
    rest = f"{hotel}/waitlist?limit=1&cursor={first['next_cursor']}"
    assert gateway.get(rest).json == {"data": [other], "next_cursor": None}
    assert gateway.get(f"{hotel}/waitlist/{entry['id']}").json == entry
    gateway.post(f"{booking_path(hotel, taken)}/actions/cancel")
    moved = gateway.get(f"{hotel}/waitlist/{entry['id']}")
    assert (moved.status, moved.headers["location"]) == (303, f"{hotel}/bookings/{entry['id']}")
    assert gateway.get(moved.headers["location"]).json["status"] == "held"
    for method in ("PATCH", "DELETE"):
        refused = gateway.send(method, f"{hotel}/waitlist/{entry['id']}", {"adults": 1} if method == "PATCH" else None)
        assert_problem(refused, 409, "not_allowed")
    assert gateway.get(rest).json["data"] == [other]  # nobody is skipped when one before leaves
    assert gateway.send("DELETE", f"{hotel}/waitlist/{other['id']}").json == other
    assert_problem(gateway.send("DELETE", f"{hotel}/waitlist/{other['id']}"), 404, "not_found")
    assert_problem(gateway.get(f"{hotel}/waitlist/{other['id']}"), 404, "not_found")


def test_invalid_waitlist_requests_over_http_are_refused(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    waitlist = f"{hotel}/waitlist"
    assert_problem(gateway.post(waitlist, stay_request(2, 2)), 409, "rooms_left")
    gateway.post(f"{hotel}/bookings", stay_request(2, 2))
    for wrong in (
        stay_request(-1, 2), stay_request(2, 0), stay_request(2, 400), stay_request(2, 2, adults=3),
        stay_request(2, 2, adults=0), stay_request(2, 2, room_type="???"), stay_request(2, 2, status="held"),
        stay_request(2, 2, guest={"name": ""}), {},
    ):  # fmt: skip
        assert_problem(gateway.post(waitlist, wrong), 422, "invalid")
    for query in ("cursor=x", "cursor=-1", "limit=0", "limit=201", "color=red"):
        assert_problem(gateway.get(f"{waitlist}?{query}"), 422, "invalid")
    assert_problem(gateway.post("/v1/hotels/nowhere/waitlist", stay_request(2, 2)), 404, "not_found")
    assert_problem(gateway.get("/v1/hotels/nowhere/waitlist"), 404, "not_found")
    assert gateway.get(waitlist).json["data"] == []


def test_a_snapshot_without_a_waitlist_is_read(tmp_path: Path) -> None:
    """Such as one made before there were waitlists."""
    with partition_fixture(tmp_path / "journal.db") as partition:
        partition.open_hotel({"DBL": 1})
        assert not isinstance(partition.execute(DescribeHotelState(HOTEL)), refusals.Refusal)
        partition.host.save_snapshots(after_events=1)
    with partition_fixture(tmp_path / "journal.db") as partition:
        assert waiting_entries(partition) == []
