"""What every outbox does: it keeps notices in the order of their decision until they are sent, and stores them with its
cursor. (`tests/delivery/test_outbox_relay.py` tests the relay with it.)"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from innkeeper.protocol.notifications.notices import Notice, Recipient
from innkeeper.protocol.ports.outbox import AddressReport, KeptBooking, Outbox, OutboxChanges
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, SubscriptionRequest
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.contexts import NOTIFICATIONS, RESERVATIONS
from support.example_notices import notice
from support.recording_subscriber import GrowingLog


@contextmanager
def opened(storage: Storage) -> Iterator[Outbox]:
    """The outbox of notifications."""
    with storage.notification_store(NOTIFICATIONS, "mail") as store:
        yield store.outbox


@pytest.fixture
def outbox(storage: Storage) -> Iterator[Outbox]:
    """An empty outbox."""
    with opened(storage) as outbox:
        yield outbox


def letter(id_: str, to: str = "ann@example.com", due_at: int = 0, useful_until: int = 0) -> Notice:
    """A notice for this address."""
    return notice(id=id_, recipient=Recipient("Ann", to), due_at=due_at, useful_until=useful_until)


def due(outbox: Outbox, at: int = 10, limit: int = 100) -> list[str]:
    """The ids of the notices that are due."""
    return [one.notice.id for one in outbox.due(at, limit)]


def test_hotels_and_bookings_are_kept_by_id(outbox: Outbox, storage: Storage) -> None:
    many = {f"b-{number}": b"%d" % number for number in range(1_200)}
    outbox.store(
        OutboxChanges(
            hotels={"north": b"1", "south": b"2"},
            bookings={id_: KeptBooking("g-1", body) for id_, body in many.items()},
        )
    )
    outbox.store(OutboxChanges(hotels={"north": b"3"}, bookings={"b-7": KeptBooking("g-1", b"seven")}))
    with opened(storage) as again:
        assert again.hotels(["north", "south", "west"]) == {"north": b"3", "south": b"2"}
        assert again.bookings([*many, "b-9999"]) == many | {"b-7": b"seven"}
        assert (again.bookings([]), again.hotels(iter(["south"]))) == ({}, {"south": b"2"})


def test_notices_are_due_in_the_order_of_their_decision(outbox: Outbox, storage: Storage) -> None:
    outbox.store(OutboxChanges(notices=[letter("later", due_at=20), letter("b"), letter("a", due_at=10)]))
    outbox.store(OutboxChanges(notices=[letter("c"), letter("b", "other@example.com")]))
    with opened(storage) as again:
        assert due(again) == ["b", "a", "c"]
        assert (due(again, limit=2), due(again, at=9), due(again, at=20)) == (
            ["b", "a"],
            ["b", "c"],
            ["later", "b", "a", "c"],
        )
        assert (again.count(10), again.next_due_at()) == ((3, 0), 0)
        assert again.due(10, 1)[0].notice == letter("b")
        for id_ in due(again):
            again.mark_sent([id_])
        assert (due(again), again.next_due_at(), again.count(10)) == ([], 20, (0, 0))
        again.store(OutboxChanges(notices=[letter("d")]))
        assert due(again, 20) == ["later", "d"]


def test_a_withdrawn_notice_is_removed(outbox: Outbox) -> None:
    outbox.store(OutboxChanges(notices=[letter("a"), letter("b")]))
    before = outbox.withdrawals
    outbox.store(OutboxChanges(notices=[letter("c")], withdrawn=["a", "unknown"]))
    assert outbox.withdrawals > before
    assert due(outbox) == ["b", "c"]


def test_a_failed_notice_delays_later_ones_to_its_address_only(outbox: Outbox) -> None:
    outbox.store(OutboxChanges(notices=[letter("first"), letter("a"), letter("b", "bo@example.com"), letter("c")]))
    outbox.mark_sent(["first"])
    outbox.mark_failed("a", "busy", at=10, retry_at=15)
    assert (due(outbox, 14), outbox.next_due_at()) == (["b"], 0)
    assert [(one.notice.id, one.attempts) for one in outbox.due(15, 9)] == [("a", 1), ("b", 0)]
    outbox.mark_sent(["b"])
    assert outbox.next_due_at() == 15, "what has to wait for another is not due"
    outbox.mark_sent(["a"])
    assert (due(outbox, 10), outbox.next_due_at()) == (["c"], 0)
    outbox.store(OutboxChanges(notices=[letter("d"), letter("e", "bo@example.com")]))
    outbox.mark_failed("d", "busy", at=10, retry_at=30)
    assert due(outbox, 20) == ["c", "e"], "an earlier one is not delayed"


def test_of_many_due_notices_those_without_a_time_and_those_due_longest_come_first(outbox: Outbox) -> None:
    scheduled = [letter(f"s-{at}", f"{at}@example.com", due_at=at) for at in range(9, 0, -1)]
    at_once = [letter(f"n-{number}", f"n-{number}@example.com") for number in range(5)]
    outbox.store(OutboxChanges(notices=[*scheduled[:5], *at_once, *scheduled[5:]]))
    assert due(outbox, 8, limit=3) == ["n-0", "n-1", "n-2"]
    assert due(outbox, 8, limit=20) == [f"s-{at}" for at in (8, 7, 6, 5)] + [one.id for one in at_once] + [
        f"s-{at}" for at in (4, 3, 2, 1)
    ]
    outbox.mark_sent([one.id for one in at_once])
    assert due(outbox, 8, limit=3) == ["s-3", "s-2", "s-1"]


@pytest.mark.parametrize("drop", [False, True])
def test_a_dead_letter_is_kept_until_it_is_redriven_or_dropped(outbox: Outbox, storage: Storage, drop: bool) -> None:
    outbox.store(OutboxChanges(notices=[letter("a", useful_until=5), letter("b"), letter("c")]))
    outbox.mark_failed("b", "no such address", at=3, retry_at=None)
    outbox.mark_failed("a", "busy", at=1, retry_at=2)
    outbox.mark_failed("a", "refused", at=4, retry_at=None)
    with opened(storage) as again:
        letters = again.dead_letters()
        assert [(one.event, one.attempts, one.since, one.retry_at) for one in letters] == [
            ("a", 2, 1, None), ("b", 1, 3, None),
        ]  # fmt: skip
        assert (letters[0].subscriber, letters[0].hotel, letters[0].type, letters[0].reason) == (
            "mail", "seaside", "confirmation", "refused",
        )  # fmt: skip
        assert (due(again), again.count(10), again.next_due_at()) == (["c"], (1, 2), 0)
        assert (again.redrive("c", drop), again.redrive("unknown", drop)) == (None, None)
        assert again.redrive("a", drop) == letters[0]
        assert due(again) == (["c"] if drop else ["a", "c"])
        assert [one.attempts for one in again.due(10, 9)] == [0] * (1 if drop else 2)
        assert [one.notice.useful_until for one in again.due(10, 1)] == [0], "it is sent however late it is"
        assert again.redrive("a", drop) is None


def test_a_report_counts_until_it_is_sent_or_its_booking_erased(outbox: Outbox) -> None:
    outbox.store(OutboxChanges(notices=(letter("a"), letter("b"))))
    for id_ in "ab":
        report = AddressReport(id_, "seaside", "g-1", f"booking {id_}", "ann@example.com", "confirmation", "550")
        outbox.mark_failed(id_, "refused", at=5, retry_at=None, report=report)
    assert outbox.count(10) == (2, 2)
    ((number, first),) = outbox.reports(1)
    assert (first.notice, [one.notice for _, one in outbox.reports(9, number)]) == ("a", ["b"])
    outbox.remove_report(number)
    assert outbox.count(10) == (1, 2)
    outbox.store(OutboxChanges(erased=("booking b",)))
    assert outbox.count(10) == (0, 2)


def test_a_report_about_a_letter_that_was_erased_while_it_was_sent_is_not_kept(outbox: Outbox) -> None:
    report = AddressReport("a", "seaside", "g-1", "b-1", "ann@example.com", "confirmation", "550")
    outbox.mark_failed("a", "refused", at=5, retry_at=None, report=report)
    outbox.mark_sent(["a"], [report])
    assert (outbox.reports(9), outbox.count(10)) == ([], (0, 0))


def test_a_mark_on_a_notice_that_is_no_longer_there_changes_nothing(outbox: Outbox) -> None:
    outbox.mark_sent(["a"])
    outbox.mark_failed("a", "busy", at=1, retry_at=2)
    assert (due(outbox), outbox.dead_letters(), outbox.next_due_at()) == ([], [], None)


def test_a_pause_is_kept(outbox: Outbox, storage: Storage) -> None:
    assert outbox.paused is False
    outbox.pause(True)
    with opened(storage) as again:
        assert again.paused is True
        again.pause(False)
    assert outbox.paused is False


def test_what_is_stored_as_the_effects_of_a_batch_is_kept_with_its_position_or_not_at_all(storage: Storage) -> None:
    log = GrowingLog()
    log.append("north", BookingPinned("b", "101"))
    for fails in (True, False):
        with storage.notification_store(NOTIFICATIONS, "mail") as store:
            cursor = store.open_cursor(SubscriptionRequest("clerk", EVERY_EVENT), RESERVATIONS, log)
            batch = cursor.batch(0, 9, 1)
            assert batch is not None

            def effects(outbox: Outbox = store.outbox, fails: bool = fails) -> None:
                outbox.store(
                    OutboxChanges(
                        hotels={"north": b"1"}, bookings={"b": KeptBooking("g-1", b"2")}, notices=[letter("a")]
                    )
                )
                if fails:
                    raise OSError("disk full")

            if fails:
                with pytest.raises(OSError, match="disk full"):
                    cursor.move(batch, effects)
            else:
                cursor.move(batch, effects)
        with storage.notification_store(NOTIFICATIONS, "mail") as store:
            position = store.open_cursor(SubscriptionRequest("clerk", EVERY_EVENT), RESERVATIONS, log).position
            kept = (due(store.outbox), store.outbox.hotels(["north"]), store.outbox.bookings(["b"]), position)
        assert kept == (([], {}, {}, 0) if fails else (["a"], {"north": b"1"}, {"b": b"2"}, 1))
