"""The host of a partition: it owns one actor system and one journal, and is driven by one thread at a time.

A batch of commands goes to the desk; what happened goes to the journal in one transaction; only then are the answers
let out. Time and ids come in from outside, so that a whole partition runs the same again from one seed.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

from innkeeper.actors.desk import DeskActor
from innkeeper.actors.messages import Batch, BatchDone, Furnish, Furnished, Order
from innkeeper.actors.rules.state import HotelState, evolve, fold, restore
from innkeeper.protocol import wire
from innkeeper.protocol.asking import Answer, Asked
from innkeeper.protocol.commands import Command
from innkeeper.protocol.journal import Fenced, Journal, KeptReply, Snapshot
from innkeeper.protocol.limits import snapshot_after_events
from innkeeper.protocol.queries import DescribeState, Query
from innkeeper.protocol.record import Recorded
from innkeeper.protocol.refusals import KeyReused, Refusal, Unavailable
from innkeeper.protocol.replies import Reply, StateReply
from thespian.actors import ActorSystem

logger = logging.getLogger(__name__)

ASK_SECONDS_MAX = 60


class Prepared:
    """A batch between decision and release: what shall be on disk, and what may then be answered. `keys` are the
    idempotency keys that are new in this batch, `followers` the commands that came again within it."""

    def __init__(self, answers: list[Answer | None]) -> None:
        self.answers = answers
        self.records: tuple[Recorded, ...] = ()
        self.replies: list[KeptReply] = []
        self.keys: dict[str, int] = {}
        self.fingerprints: dict[int, bytes] = {}
        self.followers: list[tuple[int, int, bytes]] = []
        self.position = 0
        self.failed = False


class Host:
    """One partition, without its thread. `published` hears of each commit: its last position, and its records."""

    def __init__(
        self,
        journal: Journal,
        clock: Callable[[], int],
        ids: Callable[[], str],
        published: Callable[[int, Sequence[Recorded]], None] = lambda *_: None,
    ) -> None:
        self.journal = journal
        self.due_at: int | None = 0
        self._clock = clock
        self._ids = ids
        self._published = published
        self._last_at = 0
        self._stale: set[str] = set()
        self._unsaved: dict[str, int] = {}
        logging.getLogger("Thespian").setLevel(logging.WARNING)  # it tells every message at debug level
        self._system = ActorSystem("simpleSystemBase", transientUnique=True, logDefs=False)
        self._desk = self._system.createActor(DeskActor)

    def recover(self, progress: Callable[[int], None] = lambda _: None) -> int:
        """Rebuild every hotel from its newest snapshot and the events after it; returns how many events that took."""
        states, events = rebuild_all(self.journal, progress)
        for hotel, state in states.items():
            self._ask(Furnish(hotel, state))
        return events

    def handle(self, asked: Sequence[Asked]) -> list[Answer]:
        """Carry out a batch. When this returns, what it answers is on disk."""
        prepared = self.decide(asked)
        if prepared.records or prepared.replies:
            self.commit(prepared)
        return self.release(prepared)

    def decide(self, asked: Sequence[Asked]) -> Prepared:
        """Let the hotels decide on a batch. Nobody may be told before `commit`; no other batch may begin before it."""
        prepared = Prepared([None] * len(asked))
        if self._stale and not self._rebuild():
            prepared.answers[:] = [Answer(Unavailable("the journal cannot be read"))] * len(asked)
            return prepared
        at = self._last_at = max(self._clock(), self._last_at)
        orders = []
        for number, ask in enumerate(asked):
            if ask.key is None or self._is_first(prepared, number, ask):
                orders.append(Order(number, ask.message, at, self._ids(), ask.correlation, ask.by, ask.if_version))
        self._carry_out(Batch(at, tuple(orders)), prepared)
        return prepared

    def commit(self, prepared: Prepared) -> None:
        """Put on disk what was decided. On a failure nobody is acknowledged, and the hotels are rebuilt before the next
        batch. Touches nothing but the journal, so it may run in another thread."""
        try:
            prepared.position = self.journal.append(prepared.records, prepared.replies)
        except Fenced:
            raise
        except Exception:
            logger.exception("the journal refused a batch; its hotels are rebuilt and nobody is acknowledged")
            prepared.failed = True

    def release(self, prepared: Prepared) -> list[Answer]:
        """The answers, now that they are true for good."""
        if prepared.failed:
            self._stale.update(record.hotel for record in prepared.records)
            self.due_at = 0
            return [Answer(Unavailable("the journal could not be written"))] * len(prepared.answers)
        for record in prepared.records:
            self._unsaved[record.hotel] = self._unsaved.get(record.hotel, 0) + 1
        if prepared.records:
            self._published(prepared.position, prepared.records)
        for number, first, fingerprint in prepared.followers:
            given = prepared.answers[first]
            if prepared.fingerprints[first] != fingerprint:
                prepared.answers[number] = Answer(KeyReused())
            elif given is not None:
                prepared.answers[number] = Answer(given.answer, replayed=True)
        return [answer or Answer(Unavailable("the hotel had a fault and was rebuilt")) for answer in prepared.answers]

    def save_snapshots(self, after_events: int = snapshot_after_events, at_most: int = 1) -> int:
        """Keep the state of hotels that saw so many events since their last snapshot; returns how many were saved."""
        hotels = [hotel for hotel, events in self._unsaved.items() if events >= after_events][:at_most]
        if not hotels or self._stale:
            return 0
        orders = tuple(Order(number, DescribeState(hotel), 0, "") for number, hotel in enumerate(hotels))
        done = self._ask(Batch(0, orders))
        if not isinstance(done, BatchDone):
            return 0
        states = [outcome.answer for outcome in done.outcomes if isinstance(outcome.answer, StateReply)]
        self.journal.save_snapshots(Snapshot(state.hotel.id, state.hotel_seq, wire.encode(state)) for state in states)
        for hotel in hotels:
            self._unsaved.pop(hotel)
        return len(states)

    def describe(self, hotel: str) -> StateReply | Refusal:
        """The hotel's whole state, for auditors."""
        done = self._ask(Batch(0, (Order(0, DescribeState(hotel), 0, ""),)))
        assert isinstance(done, BatchDone)
        answer = done.outcomes[0].answer
        assert isinstance(answer, StateReply | Refusal)
        return answer

    def close(self) -> None:
        """End the actors and the journal."""
        self._system.shutdown()
        self.journal.close()

    def _ask(self, message: object) -> object:
        return self._system.ask(self._desk, message, ASK_SECONDS_MAX)

    def _is_first(self, prepared: Prepared, number: int, ask: Asked) -> bool:
        """Is this the first time that the command comes under its key? If not, note what it is answered with."""
        key = ask.key or ""
        fingerprint = _fingerprint(ask.message)
        if key in prepared.keys:
            prepared.followers.append((number, prepared.keys[key], fingerprint))
            return False
        kept = self.journal.reply(key)
        if kept is not None:
            prepared.answers[number] = _replayed(kept, fingerprint)
            return False
        prepared.keys[key] = number
        prepared.fingerprints[number] = fingerprint
        return True

    def _carry_out(self, batch: Batch, prepared: Prepared) -> None:
        done = self._ask(batch)
        if not isinstance(done, BatchDone):
            logger.error("the desk failed: %s", done)
            self._restart()
            return
        self.due_at = done.due_at
        self._stale.update(done.broken)
        prepared.records = done.records
        for outcome in done.outcomes:
            prepared.answers[outcome.number] = Answer(outcome.answer)
        for key, number in prepared.keys.items():
            answer = prepared.answers[number]
            if answer is not None:
                prepared.replies.append(KeptReply(key, prepared.fingerprints[number], wire.encode(answer.answer)))

    def _restart(self) -> None:
        self._system.shutdown()
        self._system = ActorSystem("simpleSystemBase", transientUnique=True, logDefs=False)
        self._desk = self._system.createActor(DeskActor)
        self._stale.update({record.hotel for _, record in self.journal.read()})

    def _rebuild(self) -> bool:
        """Bring the hotels that cannot be trusted back to what the journal says."""
        try:
            self.journal.reopen()
            for hotel in sorted(self._stale):
                state = rebuild(self.journal, hotel)
                if not isinstance(self._ask(Furnish(hotel, state)), Furnished):
                    return False
        except Fenced:
            raise
        except Exception:
            logger.exception("hotels could not be rebuilt from the journal; their partition answers nothing until then")
            return False
        self._stale.clear()
        return True


def rebuild(journal: Journal, hotel: str) -> HotelState | None:
    """One hotel as the journal tells it, None if it never opened."""
    state = HotelState()
    for snapshot in journal.snapshots(hotel):
        state = _restored(snapshot)
    fold(state, (record for _, record in journal.read(hotel=hotel, after_hotel_seq=state.seq)))
    return state if state.hotel is not None else None


def rebuild_all(journal: Journal, progress: Callable[[int], None]) -> tuple[dict[str, HotelState], int]:
    """Every hotel as the journal tells it, and how many events were read for that."""
    states = {snapshot.hotel: _restored(snapshot) for snapshot in journal.snapshots()}
    events = 0
    for state_events in _tails(journal, states):
        for record in state_events:
            evolve(states.setdefault(record.hotel, HotelState()), record)
            events += 1
            if events % 1_000 == 0:
                progress(events)
    return states, events


def _tails(journal: Journal, states: dict[str, HotelState]) -> Iterable[Iterable[Recorded]]:
    """The events that no snapshot holds: of each hotel with a snapshot its tail, then all of the others."""
    if not states:
        yield (record for _, record in journal.read())
        return
    known = set(states)
    for hotel in known:
        yield (record for _, record in journal.read(hotel=hotel, after_hotel_seq=states[hotel].seq))
    for hotel in journal.hotels() - known:
        yield (record for _, record in journal.read(hotel=hotel))


def _restored(snapshot: Snapshot) -> HotelState:
    described = wire.decode(snapshot.state)
    assert isinstance(described, StateReply)
    return restore(described)


def _replayed(kept: KeptReply, fingerprint: bytes) -> Answer:
    if kept.fingerprint != fingerprint:
        return Answer(KeyReused())
    answer = wire.decode(kept.reply)
    assert isinstance(answer, Reply | Refusal)
    return Answer(answer, replayed=True)


def _fingerprint(message: Command | Query) -> bytes:
    return blake2b(wire.encode(message), digest_size=16).digest()
