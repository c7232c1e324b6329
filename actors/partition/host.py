"""The host of a partition: it owns one actor system and one journal, and is driven by one thread at a time.

The host sends a batch of commands to the router, writes the resulting events to the journal in one transaction, and
only then releases the results. Clock and ids are inputs, so that a whole partition can be replayed from one seed.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from innkeeper.actors.partition.aggregate_type import AggregateType
from innkeeper.actors.partition.messages import (
    CommandBatch,
    HotelStateLoaded,
    LoadHotelState,
    PendingBatch,
    StartRouter,
)
from innkeeper.actors.partition.recovery import rebuild, rebuild_all
from innkeeper.actors.system.actor_systems import OpenActorSystem
from innkeeper.actors.system.local_actor_system import LocalActorSystem
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import IdempotencyKeyReused, Refusal, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.journal import (
    Journal,
    JournalDamaged,
    JournalFenced,
    JournalUnavailable,
    Snapshot,
    StoredReply,
)
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.values.limits import idempotency_hours, snapshot_after_events, snapshot_behind_events_max
from innkeeper.protocol.values.repeated_messages import RepeatedMessages

logger = logging.getLogger(__name__)

_RETRY_MICROSECONDS = 1_000_000
_DISTRUST_MICROSECONDS = 60_000_000
_HOUR_MICROSECONDS = 3_600_000_000
_REPLIES_PER_STEP = 500
_ENDING = JournalFenced, JournalDamaged  # these end the partition; other errors of the journal are retried
_BEFORE_ALL = -1  # an instant at which nothing is due
_HOTEL_FAILED = Unavailable("the hotel had a fault and was rebuilt", hotel_failed=True)


class Host:
    """One partition, without its thread. Calls `on_commit` with each commit."""

    def __init__(
        self,
        journal: Journal,
        clock: Callable[[], int],
        ids: Callable[[], object],
        aggregate_type: AggregateType,
        open_system: OpenActorSystem = LocalActorSystem,
    ) -> None:
        """`ids` makes new unique ids, whose text counts."""
        self.journal = journal
        self._open_system = open_system
        self._aggregate_type = aggregate_type
        self.due_at: int | None = 0
        self._clock = clock
        self._ids = ids
        self.on_commit: CommitListener = lambda *_: None
        self._last_at = 0
        self._stale: set[str] = set()
        self._distrusted: set[str] = set()
        self._rebuilt_at: dict[str, int] = {}  # when distrusted hotels were rebuilt from their events
        self._router_failed = self._journal_failed = False
        self.fault = ""  # why the journal cannot be written now
        self._retry_at = 0
        self._logged = RepeatedMessages()
        self._unreleased: deque[PendingBatch] = deque()
        self._unsaved_replies: dict[str, StoredReply] = {}
        self._since_snapshot: dict[str, int] = {}
        self._unsaved_from: dict[str, int] = {}  # the position of each hotel's first event after its snapshot
        self._replies_checked_until = ""
        self._remove_replies_at = 0
        self._start_router()

    def recover(self, progress: Callable[[int], None] = lambda _: None) -> int:
        """Rebuilds every hotel from its newest snapshot and the events after it; returns how many events were read.
        Raises JournalDamaged."""
        recovery = rebuild_all(self.journal, progress, self._aggregate_type)
        for hotel, state in recovery.states.items():
            self._ask(LoadHotelState(hotel, state))
        self._since_snapshot, self._unsaved_from = recovery.unsaved, recovery.unsaved_from
        return recovery.events

    def handle(self, envelopes: Sequence[Envelope]) -> list[Result]:
        """Handles a batch. When this returns, the effects of its results are on disk."""
        decided = self.decide(envelopes)
        if self.write([decided]):
            self.sync([decided])
        return self.release([decided])[0]

    @property
    def must_drain(self) -> bool:
        """True where all decided batches must be released before the next decision, because hotels must be rebuilt."""
        return bool(self._stale or self._distrusted) or self._router_failed or self._journal_failed

    def decide(self, envelopes: Sequence[Envelope]) -> PendingBatch:
        """Decides on a batch, based on all earlier decisions, whether they are on disk or not. Its results may be sent
        after `write`, `sync` and `release`; batches go through these in the order of their decision."""
        if self.must_drain and not self._rebuild():
            return self._refuse(envelopes, "the journal cannot be read")
        try:
            keys = _BatchKeys(envelopes, self._kept_replies(envelopes))
        except _ENDING:
            raise
        except Exception as error:
            self._log("earlier replies cannot be read from the journal; the batch is refused", error)
            self._journal_failed = True
            return self._refuse(envelopes, "the journal cannot be read")
        at = self._last_at = max(self._clock(), self._last_at)
        stamped: list[Envelope] = []
        for number, envelope in enumerate(envelopes):
            if number not in keys.known:
                stamped.append(msgspec.structs.replace(envelope, at=at, id=str(self._ids())))
        decided = self._carry_out(CommandBatch(at, tuple(stamped)))
        decided.results = keys.results(len(envelopes), stamped, decided.responses)
        decided.replies = keys.replies(decided.results, at)
        for reply in decided.replies:
            self._unsaved_replies[reply.key] = reply
        self._unreleased.append(decided)
        return decided

    def _refuse(self, envelopes: Sequence[Envelope], reason: str) -> PendingBatch:
        refused = PendingBatch(results=[Result(_HOTEL_FAILED)] * len(envelopes))
        refused.fail(reason)
        self._unreleased.append(refused)
        return refused

    def _kept_replies(self, envelopes: Sequence[Envelope]) -> dict[str, StoredReply]:
        """The replies that these envelopes' keys have already, in one look-up."""
        kept: dict[str, StoredReply] = {}
        unknown: list[str] = []
        for envelope in envelopes:
            if envelope.key in self._unsaved_replies:
                kept[envelope.key] = self._unsaved_replies[envelope.key]
            elif envelope.key is not None:
                unknown.append(envelope.key)
        if unknown:
            kept.update(self.journal.replies(unknown))
        return kept

    def write(self, group: Sequence[PendingBatch]) -> bool:
        """Writes these batches to the journal in one transaction; returns whether there is anything to `sync`. After a
        fault, batches without commands are written too: that shows whether the journal can be written again."""
        records: list[RecordedEvent] = []
        replies: list[StoredReply] = []
        for decided in group:
            records += decided.records
            replies += decided.replies
        is_trial = self.fault and not any(decided.results for decided in group)
        if group[0].failed or not (records or replies or is_trial):
            return False
        try:
            position = self.journal.write(records, replies) - len(records)
            for decided in group:
                position += len(decided.records)
                decided.position = position
        except _ENDING:
            raise
        except Exception as error:
            self._fail(group, error)
        return not group[0].failed

    def sync(self, group: Sequence[PendingBatch]) -> None:
        """Waits until what was written is on disk. May run in another thread while further batches are decided."""
        try:
            self.journal.sync()
        except _ENDING:
            raise
        except Exception as error:
            self._fail(group, error)
        else:
            if self.fault:
                self.fault = ""
                logger.info("the journal can be written again")

    def _fail(self, group: Sequence[PendingBatch], error: Exception) -> None:
        self._log("the journal could not write a batch; its commands are refused and its hotels are rebuilt", error)
        reason = f" ({error.reason})" if isinstance(error, JournalUnavailable) else ""
        self.fault = f"the journal could not be written{reason}"
        group[0].failed = True

    def _log(self, what: str, error: Exception) -> None:
        """Logs a fault, that of a disk as one line, and not again and again."""
        if self._logged.is_due(f"{what}: {error}"):
            logger.error("%s: %s", what, error, exc_info=None if isinstance(error, JournalUnavailable) else error)

    def release(self, group: Sequence[PendingBatch]) -> list[list[Result]]:
        """Returns the results of committed batches. After a failed commit no command is acknowledged, neither those in
        it nor those decided after it, whose decisions are based on it."""
        if group[0].failed:
            for decided in self._unreleased:
                self._stale.update(record.hotel for record in decided.records)
                decided.fail(self.fault)
            self.due_at = self._retry_at = max(self._clock(), self._last_at) + _RETRY_MICROSECONDS
            self._journal_failed = True
        results: list[list[Result]] = []
        for decided in group:
            assert self._unreleased.popleft() is decided
            results.append(decided.results)
            for reply in decided.replies:
                self._unsaved_replies.pop(reply.key, None)
            if decided.records and not decided.failed:
                first = decided.position - len(decided.records) + 1
                for record in decided.records:
                    self._since_snapshot[record.hotel] = self._since_snapshot.get(record.hotel, 0) + 1
                    self._unsaved_from.setdefault(record.hotel, first)
                self.on_commit(decided.position, decided.records)
        return results

    def save_snapshots(self, after_events: int = snapshot_after_events, at_most: int = 1) -> int:
        """Saves the state of hotels with so many events since their last snapshot, or with one that is so long ago that
        it makes the next start read much of the journal; returns how many were saved."""
        if self.must_drain or self._unreleased:
            return 0
        far_behind = self.journal.position() - snapshot_behind_events_max
        hotels = [
            hotel
            for hotel, events in self._since_snapshot.items()
            if events >= after_events or (events and self._unsaved_from.get(hotel, far_behind) < far_behind)
        ][:at_most]
        described = [(hotel, self.describe(hotel)) for hotel in hotels]
        snapshots = [
            Snapshot(hotel, state.hotel_seq, wire.encode(state))
            for hotel, state in described
            if isinstance(state, self._aggregate_type.description)
        ]
        self._since_snapshot.update(dict.fromkeys(hotels, 0))  # those that cannot be saved now are not retried at once
        if not snapshots:
            return 0
        saved = {snapshot.hotel for snapshot in snapshots}
        unsaved_from = {hotel: first for hotel, first in self._unsaved_from.items() if hotel not in saved}
        try:
            until = min(unsaved_from.values(), default=self.journal.position() + 1) - 1
            self.journal.save_snapshots(snapshots, until)
        except _ENDING:
            raise
        except Exception as error:
            self._log("snapshots could not be saved; the next start reads more of the journal", error)
            return 0
        self._unsaved_from = unsaved_from
        return len(snapshots)

    def remove_old_replies(self) -> bool:
        """Removes some of the kept replies that are older than a key is valid; returns whether it is to be called again
        at once. May run in another thread while nothing is decided or written."""
        now = self._clock()
        if now < self._remove_replies_at or self.must_drain or self._unreleased:
            return False
        before = now - idempotency_hours * _HOUR_MICROSECONDS
        try:
            last = self.journal.remove_replies(before, self._replies_checked_until, _REPLIES_PER_STEP)
        except JournalUnavailable as error:
            self._log("old replies could not be removed", error)
            self._remove_replies_at = now + _RETRY_MICROSECONDS
            return False
        self._replies_checked_until = last or ""
        if last is None:
            self._remove_replies_at = now + _HOUR_MICROSECONDS
        return last is not None

    def describe(self, hotel: str) -> Any:
        """The hotel's whole state as its aggregate type describes it, for snapshots and auditors; or a refusal."""
        batch = self._carry_out(CommandBatch(_BEFORE_ALL, (Envelope(self._aggregate_type.query(hotel)),)))
        return batch.responses.get("", _HOTEL_FAILED)

    def close(self) -> None:
        """Stops the actors and closes the journal."""
        self._system.shutdown()
        self.journal.close()

    def _ask(self, message: object) -> object:
        return self._system.ask(self._router, message)

    def _carry_out(self, batch: CommandBatch) -> PendingBatch:
        decided = self._system.ask(self._router, batch)
        if not isinstance(decided, PendingBatch):
            logger.error("the router failed: %s", decided)
            self._router_failed = True
            return PendingBatch()
        self.due_at = self._retry_at if self.fault else decided.due_at
        self._stale |= decided.stale
        self._distrusted |= decided.distrusted
        return decided

    def _rebuild(self) -> bool:
        """Rebuilds from the journal the hotels whose state is not reliable; returns whether that succeeded."""
        try:
            self.journal.reopen()
            if self._router_failed:
                self._restart_router()
            for hotel in sorted(self._stale | self._distrusted):
                if not self._rebuild_hotel(hotel):
                    return False
        except _ENDING:
            raise
        except Exception as error:
            what = "hotels cannot be rebuilt from the journal; the partition refuses all commands until they can be"
            self._log(what, error)
            return False
        self._stale.clear()
        self._distrusted.clear()
        self._journal_failed = False
        return True

    def _rebuild_hotel(self, hotel: str) -> bool:
        """Rebuilds one hotel. One that is distrusted is rebuilt from its events alone, and its snapshot is replaced;
        but not again and again, where even the events make its calendar and its rooms disagree."""
        at = max(self._clock(), self._last_at)
        use_snapshot = hotel not in self._distrusted or at - self._rebuilt_at.get(hotel, 0) < _DISTRUST_MICROSECONDS
        if use_snapshot and hotel not in self._stale:
            return True
        state = rebuild(self.journal, hotel, self._aggregate_type, use_snapshot)
        if not use_snapshot:
            self._rebuilt_at[hotel] = at
            self._since_snapshot[hotel] = snapshot_after_events  # its snapshot is replaced
        return isinstance(self._ask(LoadHotelState(hotel, state)), HotelStateLoaded)

    def _start_router(self) -> None:
        self._system = self._open_system()
        self._router = self._system.createActor(self._aggregate_type.router)
        self._system.tell(self._router, StartRouter(self._aggregate_type.begin))

    def _restart_router(self) -> None:
        self._system.shutdown()
        self._start_router()
        self._stale = self.journal.hotels()
        self._router_failed = False


class _BatchKeys:
    """The idempotency keys of one batch: `known` has the results of the envelopes that are not to be carried out,
    by their numbers: they repeat a key, or cannot be encoded."""

    def __init__(self, envelopes: Sequence[Envelope], kept: Mapping[str, StoredReply]) -> None:
        self.known: dict[int, Result] = {}
        self._first: dict[str, tuple[int, bytes]] = {}
        self._repeats: list[tuple[int, str, bytes]] = []
        for number, envelope in enumerate(envelopes):
            if envelope.key is None:
                continue
            try:
                fingerprint = wire.fingerprint(wire.encode(envelope.message))
            except Exception:
                logger.exception("a command cannot be encoded; it is refused")
                self.known[number] = Result(Unavailable("the command cannot be encoded"))
                continue
            if envelope.key in kept:
                self.known[number] = _replayed(kept[envelope.key], fingerprint)
            elif envelope.key in self._first:
                self.known[number] = Result(_HOTEL_FAILED)
                self._repeats.append((number, envelope.key, fingerprint))
            else:
                self._first[envelope.key] = number, fingerprint

    def results(self, size: int, stamped: Sequence[Envelope], responses: Mapping[str, Reply | Refusal]) -> list[Result]:
        """The results of all envelopes in their order: those that are known, and the responses to the others."""
        results: list[Result] = []
        others = iter(stamped)
        for number in range(size):
            known = self.known.get(number)
            results.append(known or Result(responses.get(next(others).id, _HOTEL_FAILED)))
        return results

    def replies(self, results: list[Result], at: int) -> list[StoredReply]:
        """The replies to keep. Sets the results of the envelopes that repeat a key of this batch."""
        replies: dict[str, StoredReply] = {}
        for key, (number, fingerprint) in self._first.items():
            response = results[number].response
            if not isinstance(response, Unavailable):
                replies[key] = StoredReply(key, fingerprint, wire.encode(response), at)
        for number, key, fingerprint in self._repeats:
            if key in replies:
                results[number] = _replayed(replies[key], fingerprint)
        return [*replies.values()]


def _replayed(kept: StoredReply, fingerprint: bytes) -> Result:
    if kept.fingerprint != fingerprint:
        return Result(IdempotencyKeyReused())
    try:
        answer = wire.decode(kept.reply)
    except ValueError:
        logger.exception("a kept reply cannot be decoded; its command is refused")
        return Result(Unavailable("the reply that was kept is of another version"))
    assert isinstance(answer, Reply | Refusal)
    return Result(answer, replayed=True)
