"""The waitlist: who waits for a stay that is sold out is offered it when a room comes free, longest waiting first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from innkeeper.actors.reservations.rules.audit import due_events
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.booking import Contact, Status
from innkeeper.protocol.reservations.commands import BookingChange
from innkeeper.protocol.reservations.queries import DescribeState, FindBooking, ListWaitlist
from innkeeper.protocol.reservations.refusals import RoomsLeft, SoldOut, WaitlistFull
from innkeeper.protocol.reservations.replies import BookingReply, WaitlistReply
from innkeeper.protocol.reservations.waitlist import WaitlistRequest
from innkeeper.protocol.values import limits
from innkeeper.storage.audit.reservations import ReservationsAuditor
from support.gateway import Gateway, assert_problem, booking_path, gateway, stay_request
from support.notifications_fixture import NotificationsFixture
from support.partition_fixture import HOTEL, PartitionFixture, night, partition_fixture, request


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[PartitionFixture]:
    """A hotel with one double and one suite."""
    with partition_fixture(tmp_path / "journal.db") as opened:
        opened.open_hotel({"DBL": 1, "STE": 1})
        yield opened


def wish(arrival: int = 1, nights: int = 1, room_type: str = "DBL", **more: Any) -> WaitlistRequest:
    """A stay to wait for."""
    wanted = request(arrival, nights, room_type)
    fields = {"guest": Contact("Bea", "bea@example.com")} | more
    return WaitlistRequest(room_type=room_type, arrival=wanted.arrival, departure=wanted.departure, **fields)


def join(desk: PartitionFixture, *stay: Any, **more: Any) -> str:
    """Join the waitlist; the entry's id."""
    reply = desk.execute(commands.JoinWaitlist(HOTEL, wish(*stay, **more)))
    assert isinstance(reply, WaitlistReply), reply
    return reply.entries[0].id


def waiting(desk: PartitionFixture) -> list[str]:
    """The ids of who waits, in their order."""
    reply = desk.execute(ListWaitlist(HOTEL))
    assert isinstance(reply, WaitlistReply)
    return [entry.id for entry in reply.entries]


def status(desk: PartitionFixture, booking: str) -> Status | None:
    reply = desk.execute(FindBooking(HOTEL, booking))
    return reply.booking.status if isinstance(reply, BookingReply) else None


def test_a_cancelled_room_is_held_for_who_waited_longest(desk: PartitionFixture) -> None:
    taken = desk.book(1, 2)
    first, second = join(desk, 1, 2, adults=2, notes="sea view"), join(desk, 1, 2)
    desk.booking_after(commands.Cancel(HOTEL, taken.id))
    offered = desk.execute(FindBooking(HOTEL, first))
    assert isinstance(offered, BookingReply)
    booking = offered.booking
    assert (booking.status, booking.room, booking.adults) == (Status.HELD, taken.room, 2)
    assert (booking.guest.name, booking.guest.notes, booking.rate) == ("Bea", "sea view", 10_000)
    (*_, made) = [record for _, record in desk.host.journal.read()]
    assert (made.by, made.cause) == ("system", first)  # by itself, and because of who joined
    assert booking.expires_at == desk.at + limits.waitlist_offer_seconds * 1_000_000
    assert waiting(desk) == [second]
    assert desk.booking_after(commands.Confirm(HOTEL, first)).status is Status.CONFIRMED


def test_an_offer_that_nobody_takes_up_goes_to_the_next(desk: PartitionFixture) -> None:
    taken = desk.book(1, 2)
    first, second, third = (join(desk, 1, 2) for _ in range(3))
    desk.booking_after(commands.Cancel(HOTEL, taken.id))
    desk.advance_clock(limits.waitlist_offer_seconds)
    assert (status(desk, first), status(desk, second)) == (Status.EXPIRED, Status.HELD)
    desk.booking_after(commands.Release(HOTEL, second))
    assert (status(desk, third), waiting(desk)) == (Status.HELD, [])


def test_to_extend_an_offer_never_makes_it_end_earlier(desk: PartitionFixture) -> None:
    taken = desk.book(1, 2)
    first = join(desk, 1, 2)
    desk.booking_after(commands.Cancel(HOTEL, taken.id))
    ends = desk.at + limits.waitlist_offer_seconds * 1_000_000
    extended = desk.booking_after(commands.Extend(HOTEL, first))
    assert (extended.expires_at, extended.version) == (ends, 1)
    desk.advance_clock(limits.waitlist_offer_seconds - 1)
    assert status(desk, first) is Status.HELD
    assert (
        desk.booking_after(commands.Extend(HOTEL, first)).expires_at
        == desk.at + limits.hold_seconds_default * 1_000_000
    )
    desk.advance_clock(1)
    assert status(desk, first) is Status.HELD


def free_by_cancelling(desk: PartitionFixture, booking: str) -> None:
    desk.booking_after(commands.Cancel(HOTEL, booking))


def free_by_no_show(desk: PartitionFixture, booking: str) -> None:
    desk.booking_after(commands.MarkNoShow(HOTEL, booking))


def free_by_leaving_early(desk: PartitionFixture, booking: str) -> None:
    desk.booking_after(commands.CheckIn(HOTEL, booking))
    desk.booking_after(commands.CheckOut(HOTEL, booking))


def free_by_changing_dates(desk: PartitionFixture, booking: str) -> None:
    desk.booking_after(commands.Change(HOTEL, booking, BookingChange(arrival=night(0), departure=night(1))))


def free_by_changing_type(desk: PartitionFixture, booking: str) -> None:
    desk.booking_after(commands.Change(HOTEL, booking, BookingChange(room_type="STE")))


def free_by_moving_up(desk: PartitionFixture, booking: str) -> None:
    desk.booking_after(commands.Move(HOTEL, booking, room="201"))


@pytest.mark.parametrize("free", [
    free_by_cancelling, free_by_no_show, free_by_leaving_early, free_by_changing_dates, free_by_changing_type,
    free_by_moving_up,
])  # fmt: skip
def test_whatever_frees_a_room_offers_it(desk: PartitionFixture, free: Any) -> None:
    taken = desk.book(0, 3)
    entry = join(desk, 1, 1)
    assert status(desk, entry) is None
    free(desk, taken.id)
    assert status(desk, entry) is Status.HELD


def test_a_promise_taken_back_may_make_room(tmp_path: Path) -> None:
    with partition_fixture(tmp_path / "journal.db") as desk:
        desk.open_hotel({"DBL": 2})
        desk.book(1, 1, room="101")
        other = desk.book(2, 1, room="102")
        entry = join(desk, 1, 2)
        desk.booking_after(commands.Unpin(HOTEL, other.id))
        assert status(desk, entry) is Status.HELD


def test_other_guests_change_rooms_for_an_offer(tmp_path: Path) -> None:
    with partition_fixture(tmp_path / "journal.db") as desk:
        desk.open_hotel({"DBL": 2})
        early, late, short = desk.book(1, 1), desk.book(2, 1), desk.book(1, 1)
        assert early.room == late.room != short.room
        second = desk.book(2, 1)
        entry = join(desk, 1, 2)
        desk.booking_after(commands.Cancel(HOTEL, early.id))
        assert status(desk, entry) is None  # the second night is sold out still
        desk.booking_after(commands.Cancel(HOTEL, second.id))
        assert status(desk, entry) is Status.HELD


def test_who_waits_comes_before_who_books_in_the_same_batch(desk: PartitionFixture) -> None:
    taken = desk.book(1)
    entry = join(desk, 1)
    _, refused = desk.execute_batch([commands.Cancel(HOTEL, taken.id), commands.Book(HOTEL, request(1))])
    assert refused == SoldOut("DBL", (night(1),))
    assert status(desk, entry) is Status.HELD


def test_an_offer_goes_to_whom_the_free_nights_are_enough(desk: PartitionFixture) -> None:
    one, _ = desk.book(1), desk.book(2)
    long, short = join(desk, 1, 2), join(desk, 1, 1)
    desk.booking_after(commands.Cancel(HOTEL, one.id))
    assert (waiting(desk), status(desk, short)) == ([long], Status.HELD)


def test_nobody_waits_for_what_can_be_booked(desk: PartitionFixture) -> None:
    assert desk.execute(commands.JoinWaitlist(HOTEL, wish(1))) == RoomsLeft("DBL")


def test_who_waits_may_leave_once(desk: PartitionFixture) -> None:
    taken = desk.book(1)
    entry = join(desk, 1)
    assert isinstance(desk.execute(commands.LeaveWaitlist(HOTEL, entry)), WaitlistReply)
    assert desk.execute(commands.LeaveWaitlist(HOTEL, entry)) == refusals.NotFound("waitlist entry", entry)
    desk.booking_after(commands.Cancel(HOTEL, taken.id))
    assert status(desk, entry) is None


def test_who_waits_in_vain_is_taken_off_when_the_day_is_over(desk: PartitionFixture) -> None:
    desk.booking_after(commands.CheckIn(HOTEL, desk.book(0, 2).id))
    entry, later = join(desk, 0), join(desk, 1)
    desk.execute(commands.RollBusinessDate(HOTEL))
    assert waiting(desk) == [later]
    assert status(desk, entry) is None


def test_a_waitlist_has_an_end(desk: PartitionFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "waitlist_entries_max", 2)
    desk.book(1)
    join(desk, 1)
    join(desk, 1)
    assert desk.execute(commands.JoinWaitlist(HOTEL, wish(1))) == WaitlistFull(2)


@pytest.mark.parametrize("snapshot", [False, True])
def test_the_waitlist_outlives_a_restart(tmp_path: Path, snapshot: bool) -> None:
    path = tmp_path / "journal.db"
    with partition_fixture(path) as desk:
        desk.open_hotel({"DBL": 1})
        taken = desk.book(1)
        first, second = join(desk, 1), join(desk, 1)
        if snapshot:
            desk.host.save_snapshots(after_events=1)
    with partition_fixture(path) as desk:
        assert waiting(desk) == [first, second]
        desk.booking_after(commands.Cancel(HOTEL, taken.id))
        assert (status(desk, first), waiting(desk)) == (Status.HELD, [second])


def test_a_room_that_was_free_when_the_process_died_is_offered_at_the_next_start(tmp_path: Path) -> None:
    """The cancellation is on disk and the offer is not: as if they had not been in one batch."""
    path = tmp_path / "journal.db"
    with partition_fixture(path) as desk:
        desk.open_hotel({"DBL": 1})
        taken = desk.book(1)
        entry = join(desk, 1)
        desk.booking_after(commands.Cancel(HOTEL, taken.id))
        records = [record for _, record in desk.host.journal.read()]
    with partition_fixture(tmp_path / "cut.db") as desk:
        desk.host.journal.write(records[:-1], ())
        desk.host.journal.sync()
    with partition_fixture(tmp_path / "cut.db") as desk:
        desk.advance_clock(1)
        assert status(desk, entry) is Status.HELD


def test_the_auditor_sees_an_offer_to_nobody(desk: PartitionFixture) -> None:
    taken = desk.book(1)
    join(desk, 1)
    desk.booking_after(commands.Cancel(HOTEL, taken.id))
    records = [record for _, record in desk.host.journal.read()]
    honest, cut = ReservationsAuditor(), ReservationsAuditor()
    honest.handle(records)
    assert honest.violations == []
    cut.handle(record for record in records if type(record.event).__name__ != "WaitlistJoined")
    assert any("is not on it" in violation for violation in cut.violations)


def test_an_offer_is_a_letter_of_its_own() -> None:
    house = NotificationsFixture()
    taken = [house.book(arrival=10, nights=2).id for _ in range(3)]
    house.execute(commands.JoinWaitlist(HOTEL, wish(10, 2)))
    house.immediate.clear()
    house.execute(commands.Cancel(HOTEL, taken[0]))
    house.apply_events(due_events(house.state, house.at))
    offer = house.immediate[-1]
    assert (offer.kind.value, offer.recipient.email) == ("waitlist_offer", "bea@example.com")
    assert offer.expires_at == house.at + limits.waitlist_offer_seconds * 1_000_000
    assert house.scheduled_kinds()[-1] == "hold_expiring"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("front")) as opened:
        yield opened


def test_waiting_over_http_from_joining_to_the_letter(front: Gateway) -> None:
    hotel = front.open_hotel({"DBL": 1})
    taken = front.post(f"{hotel}/bookings", stay_request(2, 2)).json
    asked = stay_request(2, 2, adults=2, notes="quiet", source="web", guest={"name": "Bea", "email": "bea@example.com"})
    reply = front.post(f"{hotel}/waitlist", asked, {"Idempotency-Key": "wait-1"})
    entry = reply.json
    assert reply.status == 201
    assert reply.headers["location"] == f"{hotel}/waitlist/{entry['id']}"
    assert entry | {"id": "", "joined_at": ""} == {
        "id": "", "hotel": hotel.rpartition("/")[2], "room_type": "DBL", "arrival": "2026-06-03",
        "departure": "2026-06-05", "adults": 2, "children": [], "guest": {"name": "Bea", "email": "bea@example.com"},
        "notes": "quiet", "source": "web", "joined_at": "", "joined_by": "front desk",
    }  # fmt: skip
    again = front.post(f"{hotel}/waitlist", asked, {"Idempotency-Key": "wait-1"})
    assert (again.json, again.headers["idempotent-replayed"]) == (entry, "true")
    other = front.post(f"{hotel}/waitlist", asked).json
    assert front.get(f"{hotel}/waitlist").json == {"data": [entry, other], "next_cursor": None}
    assert front.get(f"{hotel}/waitlist?limit=1").json == {"data": [entry], "next_cursor": "1"}
    assert front.get(f"{hotel}/waitlist?limit=1&cursor=1").json == {"data": [other], "next_cursor": None}
    assert front.get(f"{hotel}/waitlist/{entry['id']}").json == entry
    front.post(f"{booking_path(hotel, taken)}/actions/cancel")
    moved = front.get(f"{hotel}/waitlist/{entry['id']}")
    assert (moved.status, moved.headers["location"]) == (303, f"{hotel}/bookings/{entry['id']}")
    assert front.get(moved.headers["location"]).json["status"] == "held"
    assert front.send("DELETE", f"{hotel}/waitlist/{other['id']}").json == other
    assert_problem(front.send("DELETE", f"{hotel}/waitlist/{other['id']}"), 404, "not_found")
    assert_problem(front.get(f"{hotel}/waitlist/{other['id']}"), 404, "not_found")


def test_what_cannot_be_waited_for_over_http(front: Gateway) -> None:
    hotel = front.open_hotel({"DBL": 1})
    waitlist = f"{hotel}/waitlist"
    assert_problem(front.post(waitlist, stay_request(2, 2)), 409, "rooms_left")
    front.post(f"{hotel}/bookings", stay_request(2, 2))
    for wrong in (
        stay_request(-1, 2), stay_request(2, 0), stay_request(2, 400), stay_request(2, 2, adults=3),
        stay_request(2, 2, adults=0), stay_request(2, 2, room_type="???"),
        stay_request(2, 2, status="held"), stay_request(2, 2, guest={"name": ""}), {},
    ):  # fmt: skip
        assert_problem(front.post(waitlist, wrong), 422, "invalid")
    for query in ("cursor=x", "cursor=-1", "limit=0", "limit=201", "color=red"):
        assert_problem(front.get(f"{waitlist}?{query}"), 422, "invalid")
    assert_problem(front.post("/v1/hotels/nowhere/waitlist", stay_request(2, 2)), 404, "not_found")
    assert_problem(front.get("/v1/hotels/nowhere/waitlist"), 404, "not_found")
    assert front.get(waitlist).json["data"] == []


def test_a_snapshot_without_a_waitlist_is_read(tmp_path: Path) -> None:
    """As one from before there were waitlists."""
    with partition_fixture(tmp_path / "journal.db") as desk:
        desk.open_hotel({"DBL": 1})
        assert not isinstance(desk.execute(DescribeState(HOTEL)), refusals.Refusal)
        desk.host.save_snapshots(after_events=1)
    with partition_fixture(tmp_path / "journal.db") as desk:
        assert waiting(desk) == []
