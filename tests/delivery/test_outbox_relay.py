"""Letters leave the house once, in order for each address, when their time has come; what cannot be sent is tried again
and at last shown to a person."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from innkeeper.actors.notifications.outbox_relay import OutboxRelay
from innkeeper.protocol.notifications.notices import HotelFacts, Notice, NoticeKind, Recipient, StayFacts
from innkeeper.protocol.ports.outbox import SendFailed
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values import limits
from innkeeper.storage.sqlite.cursors import open_service
from innkeeper.storage.sqlite.outbox import SqliteOutbox, create_outbox

SECOND = 1_000_000
PAUSE_SECONDS = 10


def letter(id_: str, to: str = "ann@example.com", **more: Any) -> Notice:
    """Something to say."""
    facts = HotelFacts("seaside", "Seaside", "Europe/Lisbon", "EUR", "15:00", "11:00")
    stay = StayFacts(guest="Ann", room_type="Double", arrival=date(2026, 6, 2), departure=date(2026, 6, 3), adults=1,
                     rate=10_000)  # fmt: skip
    return Notice(id=id_, kind=NoticeKind.CONFIRMATION, hotel=facts, booking="b", locator="L", stay=stay,
                  recipient=Recipient("Ann", to), **more)  # fmt: skip


class Post:
    """A mailroom on a real outbox, and a postman who notes what he is given, or will not take it."""

    def __init__(self, path: Path) -> None:
        self.at = SECOND
        self.delivered: list[str] = []
        self.tried: list[str] = []
        self.refusals: dict[str, list[Exception]] = {}
        self.dies_after: set[str] = set()
        self.on_the_way = self.most_on_the_way = 0
        self._path = path / "notifications.db"
        self.open()

    def open(self) -> None:
        """Begin, or begin again after a crash."""
        self._db = open_service(self._path, create_outbox)
        self.outbox = SqliteOutbox(self._db, "mail")
        self.room = OutboxRelay(
            "mail", self.outbox, self._send, lambda attempts: PAUSE_SECONDS * attempts, lambda: self.at
        )

    def close(self) -> None:
        """The process is gone."""
        self._db.close()

    async def _send(self, notice: Notice) -> None:
        self.tried.append(notice.id)
        self.on_the_way += 1
        self.most_on_the_way = max(self.most_on_the_way, self.on_the_way)
        await asyncio.sleep(0)
        self.on_the_way -= 1
        if self.refusals.get(notice.id):
            raise self.refusals[notice.id].pop(0)
        self.delivered.append(notice.id)
        if notice.id in self.dies_after:
            self.dies_after.remove(notice.id)
            raise asyncio.CancelledError

    def decide(self, *notices: Notice, withdrawn: Sequence[str] = ()) -> None:
        """Notifications has decided to say this."""
        with self._db.atomic():
            self.outbox.store({}, {}, notices, withdrawn)

    def work(self) -> None:
        """Send all that can be sent now."""

        async def work() -> None:
            while await self.room.step():
                pass

        asyncio.run(work())


@pytest.fixture
def post(tmp_path: Path) -> Any:
    post = Post(tmp_path)
    yield post
    post.close()


def away() -> SendFailed:
    return SendFailed("nobody answers", unreachable=True)


def test_what_is_decided_is_sent_once(post: Post) -> None:
    post.decide(letter("1"), letter("2", "bo@example.com"))
    post.decide(letter("1"))
    post.work()
    post.work()
    assert sorted(post.delivered) == ["1", "2"]
    post.decide(letter("3"))
    post.work()
    assert post.delivered[-1] == "3"


def test_what_waits_for_its_time_is_sent_then_and_not_before(post: Post) -> None:
    post.decide(letter("1", due_at=5 * SECOND))
    post.work()
    assert (post.delivered, post.room.due_at(), post.room.state().lag) == ([], 5 * SECOND, 0)
    post.at = 5 * SECOND
    assert post.room.state().lag == 1
    post.work()
    assert (post.delivered, post.room.due_at()) == (["1"], None)


def test_what_is_taken_back_in_time_is_never_sent(post: Post) -> None:
    post.decide(letter("1", due_at=5 * SECOND))
    post.decide(letter("2"), withdrawn=["1"])
    post.at = 9 * SECOND
    post.work()
    assert post.delivered == ["2"]


def test_what_would_only_confuse_by_now_is_not_sent(post: Post) -> None:
    post.decide(letter("1", useful_until=SECOND // 2), letter("2", useful_until=2 * SECOND))
    post.work()
    assert post.delivered == ["2"]
    assert post.room.dead_letters() == []


def test_letters_to_one_address_keep_their_order_and_hold_up_no_other(post: Post) -> None:
    post.refusals["1"] = [SendFailed("busy")]
    post.decide(letter("1"), letter("2"), letter("3", "bo@example.com"))
    post.work()
    assert post.delivered == ["3"]
    post.decide(letter("4"))
    post.work()
    assert post.delivered == ["3"]
    post.at += PAUSE_SECONDS * SECOND
    post.work()
    assert post.delivered == ["3", "1", "2", "4"]


def test_a_letter_that_is_refused_for_good_waits_for_a_person_and_the_next_ones_go(post: Post) -> None:
    post.refusals["1"] = [SendFailed("550 no such mailbox", permanent=True)]
    post.decide(letter("1"), letter("2"))
    post.work()
    assert post.delivered == ["2"]
    (dead,) = post.room.dead_letters()
    assert (dead.subscriber, dead.hotel, dead.event, dead.type) == ("mail", "seaside", "1", "confirmation")
    assert (dead.reason, dead.attempts, dead.since, dead.retry_at) == ("550 no such mailbox", 1, SECOND, None)
    assert post.room.state().parked == 1


def test_it_is_tried_again_after_longer_pauses_and_then_given_up(post: Post) -> None:
    post.refusals["1"] = [SendFailed("450 try later") for _ in range(100)]
    post.decide(letter("1"))
    pauses = []
    while not post.room.dead_letters():
        post.work()
        due_at = post.room.due_at()
        if due_at is not None:
            pauses.append((due_at - post.at) // SECOND)
            post.at = due_at
    assert pauses == [PAUSE_SECONDS * attempt for attempt in range(1, limits.letter_attempts_max)]
    assert len(post.tried) == limits.letter_attempts_max


@pytest.mark.parametrize(("drop", "expected"), [(False, ["1"]), (True, [])])
def test_a_dead_letter_is_sent_again_or_dropped_after_a_restart_too(
    post: Post, drop: bool, expected: list[str]
) -> None:
    post.refusals["1"] = [SendFailed("550", permanent=True)]
    post.decide(letter("1", useful_until=2 * SECOND))
    post.work()
    post.close()
    post.open()
    post.at = 9 * SECOND
    assert post.room.redrive("2", drop) is None
    assert post.room.redrive("1", drop) is not None
    assert post.room.redrive("1", drop) is None
    post.work()
    assert (post.delivered, post.room.dead_letters()) == (expected, [])


def test_where_the_way_out_is_closed_nothing_is_lost_or_counted_as_an_attempt(post: Post) -> None:
    post.refusals["1"] = [away(), away()]
    post.decide(letter("1"), letter("2"))
    for _ in range(2):
        with pytest.raises(Stalled, match="nobody answers"):
            post.work()
    assert post.delivered == []
    post.work()
    assert post.delivered == ["1", "2"]


def test_a_letter_that_cannot_be_written_is_a_dead_letter_in_the_end(post: Post) -> None:
    post.refusals["1"] = [KeyError("guest") for _ in range(100)]
    post.decide(letter("1"))
    for _ in range(limits.letter_attempts_max):
        post.work()
        post.at += 10**9
    assert "KeyError" in post.room.dead_letters()[0].reason


def test_who_dies_between_sending_and_crossing_out_sends_the_same_letter_again(post: Post) -> None:
    post.dies_after.add("1")
    post.decide(letter("1"), letter("2"))
    with pytest.raises(asyncio.CancelledError):
        post.work()
    post.close()
    post.open()
    post.work()
    assert post.delivered == ["1", "1", "2"]


def test_a_pause_lasts_over_a_restart(post: Post) -> None:
    post.room.pause(True)
    post.decide(letter("1"))
    post.close()
    post.open()
    post.work()
    state = post.room.state()
    assert (post.delivered, state.paused, state.lag, post.room.due_at()) == ([], True, 1, None)
    post.room.pause(False)
    post.work()
    assert post.delivered == ["1"]


def test_only_so_many_are_on_the_way_at_once(post: Post) -> None:
    post.decide(*(letter(f"{number}", f"guest-{number}@example.com") for number in range(200)))
    post.work()
    assert len(post.delivered) == 200
    assert post.most_on_the_way == limits.letters_at_once_max


def test_whoever_lives_sends_by_itself_what_comes_and_what_falls_due(post: Post) -> None:
    async def live() -> None:
        life = asyncio.create_task(post.room.run())
        post.decide(letter("1"), letter("2", due_at=SECOND + SECOND // 20))
        post.room.wake()
        await _until(lambda: post.delivered == ["1"])
        post.at += SECOND
        await _until(lambda: post.delivered == ["1", "2"])
        post.room.stop()
        await life

    async def soon() -> None:
        async with asyncio.timeout(20):
            await live()

    asyncio.run(soon())


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (it comes from another task)
        await asyncio.sleep(0.005)
