"""Many simulated lives keep all promises; and a house with a bug in it is found out, so that the judges can be trusted.

`make simulate SEEDS=1-2000` lives through more of them, and `make simulate SEEDS=7` through that one again.
"""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from innkeeper.actors.notifications import notifier
from innkeeper.actors.notifications.rules.notices import handle as rules_take_in
from innkeeper.actors.partition.host import Host
from innkeeper.actors.reservations.messages import Claim, ClaimDone
from innkeeper.actors.reservations.room import RoomActor
from innkeeper.actors.reservations.rules import allocation, queries
from innkeeper.actors.reservations.rules.calendar import Calendar
from innkeeper.actors.reservations.rules.state import describe
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.replies import StateReply
from innkeeper.storage.sqlite.cursors import SqliteCursor
from innkeeper.storage.sqlite.outbox import SqliteOutbox
from msgspec.structs import replace
from simulation import services
from simulation.run import live, seeds_of
from simulation.world import Life, World
from support.paths import ROOT

SEEDS = range(1, 201)
STEPS = 100


@pytest.fixture(scope="module")
def lives() -> list[Life]:
    """What became of every seed."""
    return [live(seed, STEPS) for seed in SEEDS]


@pytest.mark.slow
def test_no_life_breaks_a_promise(lives: list[Life]) -> None:
    broken = {life.seed: life.violations[:3] for life in lives if life.violations}
    assert not broken, f"live them again with: make simulate SEEDS={','.join(map(str, broken))}\n{broken}"


@pytest.mark.slow
def test_in_these_lives_much_goes_wrong(lives: list[Life]) -> None:
    """A simulation in which nothing happens proves nothing."""
    assert sum(life.crashes for life in lives) > len(lives)
    assert sum(life.mishaps for life in lives) > len(lives) / 2
    assert sum(life.refusals for life in lives) > 20 * len(lives)
    assert sum(life.events for life in lives) > 50 * len(lives)


@pytest.mark.slow
def test_the_same_seed_lives_the_same_life_in_any_process(lives: list[Life]) -> None:
    program = f"from simulation.run import live; print([live(seed, {STEPS}).digest for seed in (3, 4)])"
    digests = str([life.digest for life in lives[2:4]])
    for chance in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": chance, "PYTHONPATH": str(ROOT / "tests")},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        assert done.stdout.strip() == digests


def test_seeds_are_read_as_people_write_them() -> None:
    assert seeds_of("7") == [7]
    assert seeds_of("3,5,20-22") == [3, 5, 20, 21, 22]


def found(promise: str, **sabotage: Any) -> bool:
    """Does a judge name this promise in one of a few lives of a sabotaged house?"""
    return any(promise in violation for violation in _violations(sabotage))


def _violations(sabotage: dict[str, Any]) -> Iterator[str]:
    for seed in range(1, 41):
        try:
            yield from World(seed, STEPS, **sabotage).live().violations
        except Exception as error:
            yield f"{type(error).__name__}: {error}"


def a_room_that_agrees_to_everything(self: RoomActor, message: Claim, hotel: Any) -> None:
    """Says done, whoever sleeps there."""
    self.send(hotel, ClaimDone(self.number))


def test_a_room_sold_twice_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Calendar, "free_for", lambda self, arrival, departure: self.all_rooms)
    monkeypatch.setitem(RoomActor.handles, Claim, a_room_that_agrees_to_everything)
    assert found("(P1)")


def test_a_hotel_that_sells_a_room_twice_is_stopped_by_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The room is the last authority: the hotel's fault comes to light, and no guest stands before a taken bed."""
    monkeypatch.setattr(Calendar, "free_for", lambda self, arrival, departure: self.all_rooms)
    violations = list(_violations({}))
    assert any("a room refused what its hotel held to be free" in violation for violation in violations)
    assert not any("(P1)" in violation for violation in violations)


def test_an_acknowledgement_before_the_disk_has_it_is_found_out() -> None:
    assert found("(P3)", lies=True)


def test_a_needless_refusal_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for way in ("_one_step", "_sweep", "_search"):
        monkeypatch.setattr(allocation, way, lambda *_: None)
    assert found("(P4)")


def test_a_state_that_is_not_what_its_events_make_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(state: Any) -> StateReply:
        described = describe(state)
        return replace(described, bookings=described.bookings[1:])

    monkeypatch.setattr(queries, "describe", forgetful)
    assert found("(P6)")


class ForgetsReplies(Host):
    """Keeps no reply under its key."""

    def _keep_replies(self, *_: Any) -> None:
        return


def test_a_forgotten_reply_is_found_out() -> None:
    assert found("(P7)", host=ForgetsReplies)


class AnswersTooEarly(Host):
    """Tells the subscribers what is not on the disk yet."""

    def write(self, group: Any) -> bool:
        for decided in group:
            if decided.records:
                self.on_commit(self.journal.position() + len(decided.records), decided.records)
        return super().write(group)


def test_an_event_told_before_the_disk_has_it_is_found_out() -> None:
    assert found("(P5)", host=AnswersTooEarly)


class MovesTooEarly(SqliteCursor):
    """Moves on, and then writes what came of it."""

    def move(self, batch: Any, keep: Any) -> None:
        super().move(batch, lambda: None)
        with self._db.atomic():
            keep()


class OvertakesItself(SqliteCursor):
    """Goes on with a hotel that waits behind an event."""

    def _is_requested(self, entry: Any) -> bool:
        return True


@pytest.mark.parametrize("cursor", [MovesTooEarly, OvertakesItself])
def test_a_cursor_that_loses_or_mixes_up_events_is_found_out(cursor: type[SqliteCursor]) -> None:
    assert found("(P5)", cursor=cursor)


def test_guests_do_change_rooms_for_each_other() -> None:
    world = World(1, STEPS)
    moves = 0
    for seed in range(1, 30):
        world = World(seed, STEPS)
        world.live()
        moves += sum(isinstance(record.event, events.RoomMoved) for _, record in world.journal().read())
    assert moves > 20


def test_services_that_move_on_too_early_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "SqliteCursor", MovesTooEarly)
    assert found("(P5)")


def test_a_ledger_that_hears_everything_twice_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.actors.billing.rules.state.cause_seq", lambda record: 0)
    assert found("twice, or out of its order (P5)")


def test_a_letter_that_is_lost_on_its_way_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteOutbox, "mark_failed", lambda self, notice, *_: self.mark_sent(notice))
    assert found("was never told (P5)")


def test_a_letter_that_is_sent_twice_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    known: set[str] = set()
    crossed_out = SqliteOutbox.mark_sent

    def crosses_out_at_the_second_time(outbox: SqliteOutbox, notice: str) -> None:
        crossed_out(outbox, notice) if notice in known else known.add(notice)

    monkeypatch.setattr(SqliteOutbox, "mark_sent", crosses_out_at_the_second_time)
    assert found("was told twice for no reason (P5)")


def test_a_reminder_of_what_was_cancelled_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier, "handle", lambda *told: rules_take_in(*told)._replace(withdrawn=()))
    assert found("though it was taken back (P5)")
