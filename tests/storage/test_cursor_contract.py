"""What every cursor does: it moves together with the effects or not at all, and parks the hotel of an event that cannot
be handled. (`tests/actors/test_subscribers.py` tests subscribers with it.)"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing

import pytest
from innkeeper.protocol.ports.journal import JournalRolledBack
from innkeeper.protocol.ports.service_store import DeliveryStore
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.subscriptions import (
    EVERY_EVENT,
    Cursor,
    EventBatch,
    HandlingFailure,
    ParkedEvent,
    Retry,
    SubscriptionRequest,
    no_effects,
)
from innkeeper.protocol.reservations.events import BookingCancelled, BookingPinned
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import RESERVATIONS
from support.handled_events import HandledEvents
from support.recording_subscriber import SECOND, GrowingLog

PINNED = BookingPinned("b", "101")


class Follower:
    """A cursor of a service's store, whose batches are handled by the test."""

    def __init__(self, storage: Storage, request: SubscriptionRequest) -> None:
        self.log = GrowingLog()
        self._storage = storage
        self._request = request
        self._opened = ExitStack()
        self.reopen()

    def reopen(self) -> None:
        """Close the store, and open it again."""
        self.close()
        store: DeliveryStore = self._opened.enter_context(self._storage.delivery_store("delivery"))
        self.handled = HandledEvents(store)
        self.cursor: Cursor = store.open_cursor(self._request, RESERVATIONS, self.log)

    def close(self) -> None:
        """Close the store."""
        self._opened.close()

    def append(self, *hotels: str) -> None:
        """Append an event in each of these hotels."""
        for hotel in hotels:
            self.log.append(hotel, PINNED)

    def next(self, at: int = 0, limit: int = 100) -> EventBatch:
        """The next batch, which there must be."""
        batch = self.cursor.batch(at, limit, self.cursor.end)
        assert batch is not None
        return batch

    def is_idle(self, at: int = 0) -> bool:
        """Whether there is no batch."""
        return self.cursor.batch(at, 100, self.cursor.end) is None

    def move(self, batch: EventBatch, *fault: BaseException) -> None:
        """Write the effects of a batch, with a fault in the middle if any, and move past it."""

        def effects() -> None:
            for number, (_, record) in enumerate(batch.entries):
                if fault and number:
                    raise fault[0]
                self.handled.add(record)

        self.cursor.move(batch, effects)

    def park(self, batch: EventBatch, at: int = 0, retry: Retry | None = None) -> None:
        """Park the hotel of the batch's only event."""
        (entry,) = batch.entries
        self.cursor.park(batch, HandlingFailure(entry, "cannot", "trace", retry), at)


@pytest.fixture
def follower(storage: Storage) -> Iterator[Follower]:
    """A new subscriber to all events."""
    opened = Follower(storage, SubscriptionRequest("clerk", EVERY_EVENT))
    yield opened
    opened.close()


def hotel_seqs(batch: EventBatch) -> list[int]:
    """The numbers of a batch's events."""
    return [record.hotel_seq for _, record in batch.entries]


def events(*numbers: int, hotel: str = "north") -> list[str]:
    """The ids of these events of a hotel."""
    return [f"{hotel}:{number}" for number in numbers]


def test_a_batch_of_few_events_passes_by_those_of_other_types(storage: Storage) -> None:
    with closing(Follower(storage, SubscriptionRequest("clerk", ("innkeeper.booking.cancelled.*",)))) as follower:
        follower.append(*["north"] * 5)
        follower.log.append("south", BookingCancelled("b"))
        follower.append(*["north"] * 3)
        follower.log.append("south", BookingCancelled("c"))
        follower.append("north")
        batch = follower.next(limit=1)
        assert (hotel_seqs(batch), batch.until) == ([1], 9)  # the event after that is the next of its type
        follower.move(batch)
        batch = follower.next(limit=1)
        assert (hotel_seqs(batch), batch.until) == ([2], 11)
        follower.move(batch)
        assert (follower.is_idle(), follower.handled.of("south")) == (True, events(1, 2, hotel="south"))


def test_batches_are_in_order_within_the_limit_and_up_to_the_end(follower: Follower) -> None:
    follower.append(*["north"] * 5)
    batch = follower.next(limit=2)
    assert hotel_seqs(batch) == [1, 2]
    follower.move(batch)
    batch_up_to_the_third = follower.cursor.batch(0, 100, 3)
    assert batch_up_to_the_third is not None
    assert (hotel_seqs(batch_up_to_the_third), follower.cursor.position, follower.cursor.end) == ([3], 2, 5)
    batch = follower.next()
    assert hotel_seqs(batch) == [3, 4, 5]
    follower.move(batch)
    assert follower.is_idle()
    assert follower.handled.of("north") == events(1, 2, 3, 4, 5)
    assert (follower.cursor.position, follower.cursor.state().lag, follower.cursor.log) == (5, 0, RESERVATIONS)


@pytest.mark.parametrize("fault", [ValueError("a constraint"), OSError("disk full"), KeyboardInterrupt()])
def test_neither_effects_nor_position_are_kept_where_the_effects_fail(follower: Follower, fault: BaseException) -> None:
    follower.append("north", "north", "north")
    with pytest.raises(type(fault)):
        follower.move(follower.next(), fault)
    assert (follower.handled.of("north"), follower.cursor.position) == ([], 0)
    follower.reopen()
    assert (follower.handled.of("north"), follower.cursor.position) == ([], 0)
    follower.move(follower.next())
    follower.reopen()
    assert (follower.handled.of("north"), follower.cursor.position) == (events(1, 2, 3), 3)
    assert follower.is_idle()


@pytest.mark.parametrize(
    ("request_", "handled"),
    [
        (SubscriptionRequest("clerk", ("innkeeper.booking.cancelled.*",)), {"north": [2], "south": [1]}),
        (SubscriptionRequest("clerk", EVERY_EVENT, hotel="south"), {"north": [], "south": [1, 2]}),
        (
            SubscriptionRequest("clerk", EVERY_EVENT, after={RESERVATIONS: 2, "billing": 0}),
            {"north": [2], "south": [2]},
        ),
    ],
)
def test_a_subscriber_gets_the_events_that_it_requests(
    storage: Storage, request_: SubscriptionRequest, handled: dict[str, list[int]]
) -> None:
    follower = Follower(storage, request_)
    follower.append("north")
    follower.log.append("south", BookingCancelled("b"))
    follower.log.append("north", BookingCancelled("b"))
    follower.append("south")
    follower.move(follower.next())
    assert {hotel: follower.handled.of(hotel) for hotel in handled} == {
        hotel: events(*numbers, hotel=hotel) for hotel, numbers in handled.items()
    }
    assert follower.cursor.position == 4
    follower.close()


def test_a_parked_hotel_waits_and_the_others_continue(follower: Follower) -> None:
    follower.append("north", "north", "south", "north")
    follower.move(follower.next(limit=1))
    follower.park(follower.next(limit=1), at=5)
    follower.move(follower.next(at=5))
    for _ in range(2):
        assert (follower.handled.of("north"), follower.handled.of("south")) == (events(1), events(1, hotel="south"))
        (letter,) = follower.cursor.dead_letters()
        assert (letter.subscriber, letter.hotel, letter.event, letter.type) == (
            "clerk", "north", "north:2", "innkeeper.booking.pinned.v1",
        )  # fmt: skip
        assert (letter.reason, letter.trace, letter.attempts, letter.since) == ("cannot", "trace", 1, 5)
        assert letter.retry_at == follower.cursor.due_at() == 5 + limits.subscriber_retry_seconds * SECOND
        assert (follower.cursor.state().parked, follower.cursor.state().lag) == (1, 2)
        assert follower.is_idle(at=5)
        follower.reopen()


def test_an_event_is_no_dead_letter_while_its_destination_may_accept_nothing(follower: Follower) -> None:
    follower.append("north", "north")
    follower.park(follower.next(limit=1), retry=Retry(0, 5))
    follower.move(follower.next())
    for _ in range(2):
        assert (follower.cursor.dead_letters(), follower.cursor.redrive("north:1")) == ([], None)
        assert follower.cursor.parked("north:1") == ParkedEvent(attempts=1, refusals=0)
        state = follower.cursor.state()
        assert (state.waiting, state.parked, state.lag, follower.cursor.due_at()) == (1, 0, 2, 5 * SECOND)
        follower.reopen()
    follower.park(follower.next(at=5 * SECOND), at=5 * SECOND, retry=Retry(2, None))
    assert [letter.attempts for letter in follower.cursor.dead_letters()] == [2]
    follower.cursor.retry_parked()
    assert (follower.cursor.due_at(), follower.cursor.state().parked) == (None, 1)


def test_a_retried_event_is_handled_alone_and_its_hotel_catches_up(follower: Follower) -> None:
    follower.append("north", "north", "north")
    follower.park(follower.next(limit=1))
    follower.move(follower.next())
    due = follower.cursor.due_at()
    assert due is not None
    assert follower.is_idle(at=due - 1)
    retried = follower.next(at=due)
    assert (hotel_seqs(retried), retried.parked_hotel) == ([1], "north")
    follower.move(retried)
    follower.reopen()
    rest = follower.next(at=due)
    assert hotel_seqs(rest) == [2, 3]
    with pytest.raises(ValueError, match="fails"):
        follower.move(rest, ValueError("fails"))
    assert follower.handled.of("north") == events(1)
    follower.move(follower.next(at=due))
    follower.move(follower.next(at=due))  # it has caught up
    assert follower.is_idle(at=due)
    assert (follower.handled.of("north"), follower.cursor.state().parked) == (events(1, 2, 3), 0)


def test_an_event_is_retried_with_growing_pauses_and_not_for_ever(follower: Follower) -> None:
    follower.append("north")
    at, pauses = 0, []
    for _ in range(limits.subscriber_attempts_max - 1):
        follower.park(follower.next(at), at)
        due = follower.cursor.due_at()
        assert due is not None
        pauses.append((due - at) // SECOND)
        at = due
    follower.park(follower.next(at), at)
    assert pauses == [1, 2, 4, 8]
    (letter,) = follower.cursor.dead_letters()
    assert (letter.attempts, letter.since, letter.retry_at, follower.cursor.due_at()) == (5, 0, None, None)
    assert follower.is_idle(at=10**15)


@pytest.mark.parametrize(("drop", "handled"), [(False, [1, 2]), (True, [2])])
def test_a_dead_letter_is_redriven_or_dropped(follower: Follower, drop: bool, handled: list[int]) -> None:
    follower.append("north", "north")
    follower.park(follower.next(limit=1))
    follower.move(follower.next())
    while (due := follower.cursor.due_at()) is not None:
        follower.park(follower.next(due), due)
    assert follower.is_idle(10**15)
    assert follower.cursor.redrive("north:2", drop) is None
    letter = follower.cursor.redrive("north:1", drop)
    assert letter is not None
    assert (letter.event, letter.attempts) == ("north:1", limits.subscriber_attempts_max)
    follower.reopen()
    while not follower.is_idle():
        follower.move(follower.next())
    assert (follower.handled.of("north"), follower.cursor.dead_letters()) == (events(*handled), [])


def test_a_paused_cursor_has_no_batch_also_after_reopening(follower: Follower) -> None:
    follower.append("north")
    follower.park(follower.next())
    follower.append("south")
    follower.cursor.pause(True)
    follower.reopen()
    assert follower.is_idle(at=10**15)
    assert (follower.cursor.due_at(), follower.cursor.state().paused, follower.cursor.state().lag) == (None, True, 2)
    follower.cursor.pause(False)
    follower.reopen()
    assert (follower.is_idle(), follower.cursor.state().paused) == (False, False)


def test_seeking_moves_either_way_and_unparks_all_hotels(follower: Follower) -> None:
    follower.append("north", "south", "south")
    follower.park(follower.next(limit=1))
    follower.move(follower.next())
    follower.cursor.seek(1)
    follower.reopen()
    assert (follower.cursor.position, follower.cursor.dead_letters(), follower.cursor.due_at()) == (1, [], None)
    follower.move(follower.next())
    assert follower.handled.of("south") == events(1, 2, 1, 2, hotel="south")
    follower.cursor.seek(3)
    assert follower.is_idle()


@pytest.mark.parametrize("fails", [False, True])
def test_a_batch_does_not_move_where_seek_changed_the_position_meanwhile(follower: Follower, fails: bool) -> None:
    follower.append("north")
    batch = follower.next()
    follower.append("north")
    follower.cursor.seek(0)
    follower.park(batch) if fails else follower.move(batch)
    assert follower.handled.of("north") == ([] if fails else events(1)), "its effects are written all the same"
    follower.reopen()
    assert (follower.cursor.position, follower.cursor.dead_letters()) == (0, [])
    assert hotel_seqs(follower.next()) == [1, 2]


@pytest.mark.parametrize("fails", [False, True])
def test_a_retry_does_not_move_where_its_dead_letter_was_dropped_meanwhile(follower: Follower, fails: bool) -> None:
    follower.append("north", "north")
    follower.park(follower.next(limit=1))
    follower.move(follower.next())
    due = follower.cursor.due_at()
    assert due is not None
    retried = follower.next(due)
    assert follower.cursor.redrive("north:1", drop=True) is not None
    follower.park(retried) if fails else follower.move(retried)
    while not follower.is_idle(due):
        follower.move(follower.next(due))
    assert follower.handled.of("north") == events(*([] if fails else [1]), 2)
    assert follower.cursor.dead_letters() == []


def test_a_deleted_cursor_begins_anew_and_another_one_is_untouched(storage: Storage) -> None:
    followers = [Follower(storage, SubscriptionRequest(name, EVERY_EVENT)) for name in ("clerk", "auditor")]
    for follower in followers:
        follower.append("north", "south")
        follower.park(follower.next(limit=1))
        follower.move(follower.next())
    followers[0].cursor.delete()
    for follower in followers:
        follower.reopen()
    assert [follower.cursor.position for follower in followers] == [0, 2]
    assert [len(follower.cursor.dead_letters()) for follower in followers] == [0, 1]
    for follower in followers:
        follower.close()


@pytest.mark.parametrize("later", [[], ["south"], ["south", "south"], ["south", "south", "south"]])
def test_a_log_that_was_rolled_back_is_noticed(storage: Storage, later: list[str]) -> None:
    follower = Follower(storage, SubscriptionRequest("clerk", EVERY_EVENT))
    follower.append("north", "north")
    follower.move(follower.next())
    follower.log = GrowingLog()
    follower.append(*later)
    follower.reopen()
    with pytest.raises(JournalRolledBack, match="clerk has seen event 2 of reservations"):
        follower.cursor.check()
    with pytest.raises(JournalRolledBack):
        follower.is_idle()
    follower.close()


def test_a_log_that_was_away_is_checked_when_it_is_back(follower: Follower) -> None:
    follower.append("north")
    follower.move(follower.next())
    follower.log = GrowingLog()
    follower.reopen()
    follower.log.refusals_left = 1
    assert follower.is_idle()
    with pytest.raises(JournalRolledBack):
        follower.is_idle()


def test_a_log_that_has_what_was_handled_passes_the_check(follower: Follower) -> None:
    follower.append("north", "north")
    follower.move(follower.next(limit=1))
    follower.park(follower.next(limit=1))
    follower.append("south")
    for position in (2, 1):
        follower.reopen()
        follower.cursor.check()
        follower.cursor.seek(position)
    follower.reopen()
    follower.cursor.check()
    assert hotel_seqs(follower.next()) == [2, 1]


def test_what_is_handled_while_the_log_is_away_is_not_checked(follower: Follower) -> None:
    follower.append("north")
    follower.log.refuses_hashes = True
    follower.move(follower.next())
    follower.log.refuses_hashes = False
    follower.reopen()
    follower.cursor.check()
    assert follower.cursor.position == 1


def test_a_cursor_has_a_position_in_each_log(storage: Storage) -> None:
    logs: Sequence[GrowingLog] = (GrowingLog(), GrowingLog())
    with storage.service_store("billing") as store:
        request = SubscriptionRequest("clerk", EVERY_EVENT)
        cursors = [store.open_cursor(request, name, log) for name, log in zip("ab", logs, strict=True)]
        logs[1].append("north", PINNED)
        batch = cursors[1].batch(0, 9, 1)
        assert batch is not None
        cursors[1].move(batch, no_effects)
        assert cursors[0].batch(0, 9, 0) is None
        assert [cursor.state().positions for cursor in cursors] == [{"a": 0}, {"b": 1}]
