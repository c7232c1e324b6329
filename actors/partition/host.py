"""The host of a partition: it owns one actor system and one journal, and is driven by one thread at a time.

The host sends a batch of commands to the router, writes the resulting events to the journal in one transaction, and
only then releases the results. Clock and ids are inputs, so that a whole partition can be replayed from one seed.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from os import urandom
from typing import Any

from innkeeper.actors.partition.aggregate_type import AggregateType
from innkeeper.actors.partition.batch_keys import BatchKeys
from innkeeper.actors.partition.clock import ClockWatch
from innkeeper.actors.partition.guest_lookup import GuestLookup
from innkeeper.actors.partition.housekeeping import OldReplies, UnsavedEvents
from innkeeper.actors.partition.messages import (
    HOTEL_FAILED,
    CommandBatch,
    HotelStateLoaded,
    LoadHotelState,
    PendingBatch,
    StartRouter,
)
from innkeeper.actors.partition.recovery import rebuild, recover
from innkeeper.actors.system.actor_systems import OpenActorSystem
from innkeeper.actors.system.local_actor_system import LocalActorSystem
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.journal import (
    Journal,
    JournalDamaged,
    JournalFenced,
    JournalLocked,
    JournalTooNew,
    JournalUnavailable,
    StoredReply,
)
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.values.guests import SALT_BYTES, StoredGuest
from innkeeper.protocol.values.limits import snapshot_after_events
from innkeeper.protocol.values.repeated_messages import RepeatedMessages
from msgspec.structs import replace

logger = logging.getLogger(__name__)

_RETRY_MICROSECONDS = 1_000_000
_DISTRUST_MICROSECONDS = 60_000_000
_ENDING = JournalFenced, JournalDamaged, JournalTooNew  # these end the partition; other errors are retried
_BEFORE_ALL = -1  # an instant at which nothing is due


class Host:
    """One partition, without its thread. Calls `on_commit` with each commit."""

    def __init__(
        self,
        journal: Journal,
        clock: Callable[[], int],
        ids: Callable[[], object],
        aggregate_type: AggregateType,
        open_system: OpenActorSystem = LocalActorSystem,
        random_bytes: Callable[[int], bytes] = urandom,
    ) -> None:
        """`ids` makes new unique ids, whose text counts; `random_bytes` makes the salts. A `ServerClock` can be in
        doubt; any other clock is right."""
        self.journal = journal
        self._open_system = open_system
        self._aggregate_type = aggregate_type
        self.due_at: int | None = 0
        self.watch = ClockWatch(clock)
        self._ids = ids
        self._random_bytes = random_bytes
        self._guests = GuestLookup(journal)
        self.on_commit: CommitListener = lambda *_: None
        self._unloaded: dict[str, bool] = {}  # hotels, and whether their snapshots can be used
        self._stale: set[str] = set()
        self._distrusted: set[str] = set()
        self._rebuilt_at: dict[str, int] = {}  # when distrusted hotels were rebuilt from their events
        self._router_failed = self._journal_failed = False
        self.fault = ""  # why the journal cannot be written now
        self.locked = False
        self._retry_at = 0
        self._logged = RepeatedMessages()
        self._unreleased: deque[PendingBatch] = deque()
        self._unsaved_replies: dict[str, StoredReply] = {}
        self._unsaved = UnsavedEvents()
        self._old_replies = OldReplies(journal, clock, self._log)
        self._start_router()

    def recover(self, progress: Callable[[int], None] = lambda _: None) -> int:
        """Finds every hotel in the journal, and returns how many events were read for that. Raises JournalDamaged, and
        JournalTooNew. A hotel is loaded when a command names it, else in its turn: until then, something is due."""
        recovery = recover(self.journal, progress)
        self._unloaded = dict.fromkeys(recovery.hotels, recovery.snapshots_usable)
        self._unsaved.counts, self._unsaved.first = recovery.unsaved, recovery.unsaved_from
        self.watch.start(next((record.at for _, record in self.journal.read(max(self.journal.position() - 1, 0))), 0))
        return recovery.events

    def handle(self, envelopes: Sequence[Envelope]) -> list[Result]:
        """Handles a batch. When this returns, the effects of its results are on disk."""
        if self.is_loading:
            self.load(envelopes)
        decided = self.decide(envelopes)
        if self.write([decided]):
            self.sync([decided])
        return self.release([decided])[0]

    @property
    def must_drain(self) -> bool:
        """True where all decided batches must be released before the next decision, because hotels must be loaded or
        rebuilt from the journal."""
        return bool(self._unloaded or self._stale or self._distrusted) or self._router_failed or self._journal_failed

    @property
    def is_loading(self) -> bool:
        """True until all hotels are loaded: `load` is to be called before each decision."""
        return bool(self._unloaded)

    @property
    def _must_rebuild(self) -> bool:
        return bool(self._stale or self._distrusted) or self._router_failed or self._journal_failed

    def decide(self, envelopes: Sequence[Envelope]) -> PendingBatch:
        """Decides on a batch, based on all earlier decisions, whether they are on disk or not. Its results may be sent
        after `write`, `sync` and `release`; batches go through these in the order of their decision."""
        if self.must_drain and not self._read_hotels(self._named(envelopes)):
            return self._refuse(envelopes, "the journal cannot be read")
        try:
            keys = BatchKeys(envelopes, self._kept_replies(envelopes))
            if keys.known:
                keys.known = self._guests.complete(keys.known)
            named = set()
            for envelope in envelopes:
                if (guest := getattr(envelope.message, "guest", None)) is not None:
                    named.add(guest)
            guests = self._guests.newest(named) if named else {}
        except _ENDING:
            raise
        except Exception as error:
            self._log("earlier replies cannot be read from the journal; the batch is refused", error)
            self._journal_failed = True
            return self._refuse(envelopes, "the journal cannot be read")
        at, server = self.watch.stamp(envelopes, keys.known)
        salts = self._random_bytes(SALT_BYTES * len(envelopes))
        stamped: list[Envelope] = []
        for number, envelope in enumerate(envelopes):
            if number not in keys.known:
                salt = salts[SALT_BYTES * number : SALT_BYTES * (number + 1)]
                guest = guests.get(getattr(envelope.message, "guest", None) or "") if guests else None
                stamped.append(replace(envelope, at=at, id=str(self._ids()), salt=salt, guest=guest))
        decided = self._carry_out(CommandBatch(_BEFORE_ALL if self.locked else at, tuple(stamped), server))
        decided.results = keys.results(len(envelopes), stamped, decided.responses)
        decided.replies = keys.replies(decided.results, at)
        self._guests.unsaved |= decided.guests
        self._guests.forgotten |= decided.forgotten
        for reply in decided.replies:
            self._unsaved_replies[reply.key] = reply
        self._unreleased.append(decided)
        return decided

    def _refuse(self, envelopes: Sequence[Envelope], reason: str) -> PendingBatch:
        self.fault = reason
        refused = PendingBatch(results=[Result(HOTEL_FAILED)] * len(envelopes))
        refused.fail(reason)
        self._unreleased.append(refused)
        return refused

    def _kept_replies(self, envelopes: Sequence[Envelope]) -> dict[str, StoredReply]:
        """The replies that these envelopes' keys have already, in one look-up."""
        kept, unknown = dict[str, StoredReply](), list[str]()
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
        fault, batches without commands are written too: that shows whether the journal can be written again. Raises
        JournalLocked; then call `take_back`."""
        records: list[RecordedEvent] = []
        replies: list[StoredReply] = []
        guests: list[StoredGuest] = []
        for decided in group:
            records += decided.records
            replies += decided.replies
            guests += decided.guests.values()
        is_trial = self.fault and not any(decided.results for decided in group)
        if group[0].failed or not (records or replies or is_trial):
            return False
        try:
            position = self.journal.write(records, replies, guests) - len(records)
            for decided in group:
                position += len(decided.records)
                decided.position = position
        except (*_ENDING, JournalLocked):
            raise
        except Exception as error:
            self._fail(group, error)
        return not group[0].failed

    def take_back(self) -> None:
        """Discards what is not released. Until `check_lock` succeeds only queries may be decided; nothing falls due."""
        self._stale.update(record.hotel for decided in self._unreleased for record in decided.records)
        for taken_back in (self._unreleased, self._unsaved_replies, self._guests.unsaved, self._guests.forgotten):
            taken_back.clear()
        self._journal_failed = self.locked = True

    def check_lock(self) -> None:
        """Raises JournalLocked while the journal is locked."""
        self.journal.check_lock()
        self.locked, self.fault = False, ""

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
            self.due_at = self._retry_at = self.watch.now() + _RETRY_MICROSECONDS
            self._journal_failed = True
        results = list[list[Result]]()
        for decided in group:
            assert self._unreleased.popleft() is decided
            results.append(decided.results)
            for reply in decided.replies:
                self._unsaved_replies.pop(reply.key, None)
            for version in decided.guests:
                self._guests.unsaved.pop(version, None)
            self._guests.forgotten -= decided.forgotten
            if decided.records and not decided.failed:
                first = decided.position - len(decided.records) + 1
                counts, firsts = self._unsaved.counts, self._unsaved.first
                for record in decided.records:
                    counts[record.hotel] = counts.get(record.hotel, 0) + 1
                    firsts.setdefault(record.hotel, first)
                timeline = self.journal.timeline
                self.on_commit(decided.position, _on(timeline, decided.records) if timeline else decided.records)
        return results

    def save_snapshots(self, after_events: int = snapshot_after_events, at_most: int = 1) -> int:
        """Saves the state of hotels with so many events since their last snapshot, or one so old that the next start
        reads much; returns how many. May run in another thread while nothing is decided or written."""
        if self._must_rebuild or self._unreleased:
            return 0
        due = self._unsaved.due(self.journal.position(), after_events)
        hotels = [hotel for hotel in due if hotel not in self._unloaded][:at_most]
        described = {hotel: self.describe(hotel) for hotel in hotels}
        try:
            return self._unsaved.save(self.journal, described, self._aggregate_type.description)
        except _ENDING:
            raise
        except Exception as error:
            self._log("snapshots could not be saved; the next start reads more of the journal", error)
            return 0

    def tidy_journal(self) -> bool:
        """Notes the journal's head, and removes some of the kept replies that are older than a key is valid; returns
        whether it is to be called again at once. May run in another thread while nothing is decided or written."""
        if self.must_drain or self._unreleased:
            return False
        self.journal.note_head()
        return self._old_replies.remove()

    def describe(self, hotel: str) -> Any:
        """The hotel's whole state as its aggregate type describes it, for snapshots and auditors; or a refusal."""
        if hotel in self._unloaded:
            self._load(hotel)
        batch = self._carry_out(CommandBatch(_BEFORE_ALL, (Envelope(self._aggregate_type.query(hotel)),)))
        return batch.responses.get("", HOTEL_FAILED)

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
        self.due_at = self._retry_at if self.fault else 0 if self._unloaded else decided.due_at
        self._stale |= decided.stale
        self._distrusted |= decided.distrusted
        return decided

    def load(self, envelopes: Sequence[Envelope]) -> bool:
        """Loads the hotels that these envelopes name and that are not loaded yet, or else the next one; returns whether
        that succeeded. May run in another thread while nothing is decided or written."""
        return self._read_hotels(self._named(envelopes) or [next(iter(self._unloaded))])

    def _named(self, envelopes: Sequence[Envelope]) -> list[str]:
        """The hotels that these envelopes name and that are not loaded yet."""
        return sorted({envelope.message.hotel for envelope in envelopes} & self._unloaded.keys())

    def _read_hotels(self, unloaded: Sequence[str]) -> bool:
        """Rebuilds from the journal the hotels whose state is not reliable, and loads these; returns whether that
        succeeded."""
        try:
            if self._must_rebuild:
                self._rebuild()
            for hotel in unloaded:
                self._load(hotel)
        except _ENDING:
            raise
        except Exception as error:
            what = "hotels cannot be rebuilt from the journal; the partition refuses their commands until they can be"
            self._log(what, error)
            return False
        return True

    def _load(self, hotel: str) -> None:
        state, unsaved_from = rebuild(self.journal, hotel, self._aggregate_type, self._unloaded[hotel])
        if unsaved_from is not None:
            self._unsaved.first[hotel] = unsaved_from
            self._unsaved.counts[hotel] = self._unsaved.counts.get(hotel) or 1
        self._start_hotel(hotel, state)
        del self._unloaded[hotel]

    def _rebuild(self) -> None:
        self.journal.reopen()
        if self._router_failed:
            self._restart_router()
        for hotel in sorted(self._stale | self._distrusted):
            self._rebuild_hotel(hotel)
        self._stale.clear()
        self._distrusted.clear()
        self._journal_failed = False

    def _rebuild_hotel(self, hotel: str) -> None:
        """Rebuilds one hotel. One that is distrusted is rebuilt from its events alone, and its snapshot is replaced;
        but not again and again, where even the events make its calendar and its rooms disagree."""
        at = self.watch.now()
        use_snapshot = hotel not in self._distrusted or at - self._rebuilt_at.get(hotel, 0) < _DISTRUST_MICROSECONDS
        if use_snapshot and hotel not in self._stale:
            return
        state, unsaved_from = rebuild(self.journal, hotel, self._aggregate_type, use_snapshot)
        if unsaved_from is not None:  # also where the commit of these events has reported an error
            self._unsaved.first[hotel], self._unsaved.counts[hotel] = unsaved_from, 1
        if not use_snapshot:
            self._rebuilt_at[hotel] = at
            self._unsaved.counts[hotel] = snapshot_after_events  # its snapshot is replaced
        self._start_hotel(hotel, state)

    def _start_hotel(self, hotel: str, state: Any) -> None:
        """Starts, or restarts, the actor of a hotel with this state."""
        answer = self._ask(LoadHotelState(hotel, state))
        if not isinstance(answer, HotelStateLoaded):
            raise RuntimeError(f"{hotel} cannot be started: {answer}")

    def _start_router(self) -> None:
        self._system = self._open_system()
        self._router = self._system.createActor(self._aggregate_type.router)
        self._system.tell(self._router, StartRouter(self._aggregate_type.begin))

    def _restart_router(self) -> None:
        self._system.shutdown()
        self._start_router()
        self._stale = self.journal.hotels()
        self._unloaded = {}
        self._router_failed = False


def _on(timeline: str, records: Sequence[RecordedEvent]) -> list[RecordedEvent]:
    """The events of a commit as the journal reads them."""
    return [replace(record, timeline=timeline) for record in records]
