"""What the hotel does by itself has a cause: what fell due, and when."""

from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations import commands, events, requests
from support.partition_fixture import HOTEL, PartitionFixture, night, request

HOUR = 3_600


def recorded(partition: PartitionFixture, kind: type[events.Event]) -> list[RecordedEvent]:
    """The events of this type."""
    return [record for _, record in partition.host.journal.read() if isinstance(record.event, kind)]


def hold(partition: PartitionFixture, seconds: int) -> str:
    """Hold a room for so long; the booking's id."""
    asked = request(status="held", hold_seconds=seconds)
    return partition.booking_after(commands.BookRoom(HOTEL, asked)).id


def test_an_expired_hold_says_since_when_it_was_due(partition: PartitionFixture) -> None:
    partition.open_hotel()
    hold(partition, 15 * 60)
    partition.advance_clock(HOUR)
    (expired,) = recorded(partition, events.HoldExpired)
    assert (expired.by, expired.cause) == ("system", "due:hold-expiry:2026-06-01T12:15:00Z")


def test_holds_that_expired_meanwhile_have_one_cause_and_later_ones_another(partition: PartitionFixture) -> None:
    partition.open_hotel()
    for seconds in (60, 120, 2 * HOUR):
        hold(partition, seconds)
    partition.advance_clock(HOUR)
    partition.advance_clock(2 * HOUR)
    first, second, third = recorded(partition, events.HoldExpired)
    assert first.cause == second.cause == "due:hold-expiry:2026-06-01T12:01:00Z"
    assert third.cause == "due:hold-expiry:2026-06-01T14:00:00Z"


def test_an_automatic_audit_and_all_that_it_settles_have_one_cause(partition: PartitionFixture) -> None:
    partition.open_hotel(night_audit="03:00", timezone="UTC")
    partition.book(arrival=0)
    partition.advance_clock(24 * HOUR)
    (settled,), (rolled,) = recorded(partition, events.GuestNoShow), recorded(partition, events.BusinessDateRolled)
    assert settled.cause == rolled.cause == "due:night-audit:2026-06-02T03:00:00Z"
    assert isinstance(rolled.event, events.BusinessDateRolled)
    assert (rolled.event.closed, rolled.event.opened, rolled.event.early) == (night(0), night(1), False)
    assert [one.booking for one in rolled.event.report.no_shows.bookings] == [settled.event.booking]  # type: ignore


def test_an_audit_on_request_is_caused_by_its_command(partition: PartitionFixture) -> None:
    partition.open_hotel()
    partition.execute(commands.RollBusinessDate(HOTEL))
    (rolled,) = recorded(partition, events.BusinessDateRolled)
    assert not rolled.cause.startswith("due:")


def test_no_event_of_a_hotel_is_without_a_cause(partition: PartitionFixture) -> None:
    partition.open_hotel({"DBL": 1}, night_audit="03:00")
    hold(partition, 60)
    waiting = requests.WaitlistRequest(**{name: getattr(request(), name) for name in _WAITING})
    partition.execute(commands.JoinWaitlist(HOTEL, waiting))
    partition.advance_clock(30 * HOUR)
    partition.advance_clock(90 * HOUR)
    found = [record for _, record in partition.host.journal.read()]
    assert {events.BookingHeld, events.HoldExpired, events.BusinessDateRolled} <= {type(one.event) for one in found}
    assert all(record.cause for record in found)


_WAITING = ("room_type", "arrival", "departure", "guest")
