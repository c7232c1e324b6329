"""A whole partition and its clients in one thread, from one seed: real host, desk, hotels and rooms; simulated time,
disk, crashes and faults. The same seed lives the same life, byte for byte.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import count
from pathlib import Path
from random import Random

from innkeeper.actors.partition.host import Host, PendingBatch
from innkeeper.actors.partition.recovery import rebuild
from innkeeper.actors.reservations.router import HOTEL as HOTEL_TYPE
from innkeeper.actors.reservations.rules.state import HotelState, describe
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refusal, Unavailable
from innkeeper.protocol.ports.journal import Fenced
from innkeeper.protocol.ports.message_bus import Result
from innkeeper.protocol.reservations.replies import StateReply
from innkeeper.protocol.values.contexts import BILLING, RESERVATIONS
from innkeeper.protocol.values.instants import microseconds
from innkeeper.storage.sqlite.cursors import SqliteCursor
from simulation.clients import FIRST_DAY, Clients
from simulation.faulty_journal import Crash, Disk, DiskReader, Faults, FaultyJournal
from simulation.follower import Follower
from simulation.hearing import subscribe
from simulation.ledger import Ledger, Request
from simulation.mishaps import mishap
from simulation.services import BackOffice, Post
from simulation.witness import Witness

STEPS = 100
SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
Mishaps = AbstractContextManager[Sequence[str]]

_NO_MISHAP: Mishaps = nullcontext(())
_MEMORY = Path("/dev/shm")  # a file system without a disk, where there is one
_RATES = (0.0, 0.02, 0.06, 0.15)
_MISHAPS = (0.0, 0.03, 0.1)


@dataclass(slots=True)
class Life:
    """How a seed went. `digest` covers every answer and every byte on the disk."""

    seed: int
    events: int = 0
    crashes: int = 0
    mishaps: int = 0
    refusals: int = 0
    answers: int = 0
    violations: list[str] = field(default_factory=list)
    digest: str = ""


class World:
    """One seed's partition. `host`, `lies` and `cursor` are for tests that sabotage it."""

    def __init__(
        self, seed: int, steps: int = STEPS, host: type[Host] = Host, lies: bool = False,
        cursor: type[SqliteCursor] = SqliteCursor,
    ) -> None:  # fmt: skip
        self._random = Random(seed)
        self._steps = steps
        self._host_kind = host
        self._disk = Disk(lies)
        self._faults = Faults(Random(seed + 1), self._random.choice(_RATES))
        self._mishap_rate = self._random.choice(_MISHAPS)
        self._at = microseconds(datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, 12, tzinfo=UTC))
        self._ids = (f"id-{number:05d}" for number in count(1))
        self._ledger = Ledger()
        self._clients = Clients(self._random, self._ledger)
        self._witness = Witness()
        self._bill_ids = count(1)
        self._digest = blake2b(digest_size=16)
        self._follower_dice = Random(seed + 2), self._random.choice(_RATES)
        self._billing_dice = Random(seed + 3), self._random.choice(_RATES)
        self._post_dice = Random(seed + 4), self._random.choice(_RATES)
        self._cursor = cursor
        self._host = self._open()
        self.life = Life(seed)

    def live(self) -> Life:
        """The whole life: some steps, then a quiet end at which everything must come out right."""
        steps: dict[Callable[[], None], int] = {
            self._batch: 72, self._follow: 12, self._let_time_pass: 8, self._snapshots: 4, self._restart: 2,
            self._take_over: 2,
        }  # fmt: skip
        with (
            alarm() as refused_claims,
            tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder,
            self._listening(Path(folder)),
        ):
            for _ in range(self._steps):
                (step,) = self._random.choices(list(steps), list(steps.values()))
                self._at += self._random.randrange(10 * 60 * SECOND)
                step()
            self._settle()
            for listener in self._listeners:
                self._blame(listener.settle())
        self._host.close()
        self._blame(f"a room refused what its hotel held to be free: {message}" for message in refused_claims)
        self.life.events = len(self._disk.rows)
        for transaction in self._disk.transactions:
            self._digest.update(repr(transaction).encode())
        self.life.digest = self._digest.hexdigest()
        return self.life

    def _open(self) -> Host:
        host = self._host_kind(
            FaultyJournal(self._disk, self._faults), lambda: self._at, lambda: next(self._ids), HOTEL_TYPE
        )
        host.on_commit = self._published
        host.recover()
        return host

    def _published(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """Nobody hears of an event that is not on the disk."""
        durable = [row[:2] for row in self._disk.rows[:position]][-len(records) :]
        if not self._disk.lies and self._disk.durable < len(self._disk.transactions):
            self._blame(["events were told before they were on disk (P3)"])
        if durable != [(record.hotel, record.hotel_seq) for record in records]:
            self._blame(["the events that were told are not those on the disk (P5)"])
        self._follower.subscribe(position, records)
        self._billing.told(position, records)
        self._post.told(RESERVATIONS, position, records)

    @contextmanager
    def _listening(self, folder: Path) -> Iterator[None]:
        """All who listen are there."""
        self._follower = Follower(self._disk, *self._follower_dice, lambda: self._at, folder, self._cursor)
        self._billing = BackOffice(
            self._disk, *self._billing_dice, lambda: self._at, lambda: f"bill-{next(self._bill_ids)}", folder,
            lambda position, records: self._post.told(BILLING, position, records),
        )  # fmt: skip
        self._post = Post(self._disk, self._billing.disk, *self._post_dice, lambda: self._at, folder)
        self._listeners = (self._follower, self._billing, self._post)
        try:
            yield
        finally:
            for listener in self._listeners:
                listener.close()

    def _follow(self) -> None:
        for listener in self._listeners:
            listener.work()

    def _blame(self, violations: Sequence[str] | Iterator[str]) -> None:
        self.life.violations.extend(violations)

    def _batch(self) -> None:
        number = self._random.choice((1, 1, 1, 2, 2, 5))
        requests = self._clients.requests(self._witness, number)
        keyed = [request for request in requests if request.key is not None]
        if keyed and self._random.random() < 0.15:
            requests.append(self._random.choice(keyed))  # an impatient client, twice in one batch
        unlucky = self._random.random() < self._mishap_rate
        self._say(requests, mishap(self._random) if unlucky else _NO_MISHAP)

    def _say(self, requests: Sequence[Request], mishap: Mishaps = _NO_MISHAP) -> None:
        """Let a batch be carried out, and look at everything that comes of it."""
        for request in requests:
            self._ledger.sent(request)
        struck = self._faults.struck
        try:
            with mishap as happened:
                answers = self._carry_out(requests)
        except Crash:
            self._die()
            return
        self.life.mishaps += bool(happened)
        self._digest.update(repr(answers).encode())
        self.life.answers += len(answers)
        self.life.refusals += sum(isinstance(answer.response, Refusal) for answer in answers)
        self._blame(subscribe(self._witness, self._ledger, list(zip(requests, answers, strict=True)), self._news()))
        if not happened and struck == self._faults.struck:
            self._blame(_needless(requests, answers))
            self._blame(f"hold {booking} outlived its time" for booking in self._witness.overdue(self._at))

    def _carry_out(self, requests: Sequence[Request]) -> list[Result]:
        """In one batch, or in two of which the second is decided while the first is not yet on the disk."""
        cut = self._random.randrange(len(requests) + 1)
        batches = [[request.asked() for request in part] for part in (requests[:cut], requests[cut:])]
        answers: list[Result] = []
        waiting = []
        for batch in batches:
            if self._host.must_drain:
                answers += self._finish(waiting)
                waiting = []
            waiting.append(self._host.decide(batch))
        for group in [waiting] if self._random.random() < 0.3 else [[decided] for decided in waiting]:
            answers += self._finish(group)
        return answers

    def _finish(self, group: list[PendingBatch]) -> list[Result]:
        if not group:
            return []
        if self._host.write(group):
            self._host.sync(group)
        return [answer for answers in self._host.release(group) for answer in answers]

    def _news(self) -> list[RecordedEvent]:
        """The events on the disk that the witness does not know yet."""
        return [record for _, record in self.journal().read(after=self._witness.position)]

    def journal(self) -> DiskReader:
        """All that is on the disk."""
        return DiskReader(self._disk)

    def _let_time_pass(self) -> None:
        jump = self._random.choice((HOUR, 6 * HOUR, DAY, 2 * DAY, -HOUR, -DAY))
        self._at += self._random.randrange(abs(jump)) * (1 if jump > 0 else -1)
        self._say([])

    def _snapshots(self) -> None:
        try:
            self._host.save_snapshots(self._random.choice((1, 5, 20)), self._random.randint(1, 3))
        except Crash:
            self._die()

    def _die(self) -> None:
        """The process is gone; in half of the cases the power, too."""
        self.life.crashes += 1
        self._restart(self._random.random() < 0.5)

    def _restart(self, power_lost: bool = True) -> None:
        self._host.close()
        if power_lost:
            self._disk.lose_power()
        self._follower.restart()
        self._billing.restart(power_lost)
        self._post.restart()
        self._host = self._open()
        self._witness = Witness()
        records = self._news()
        self._blame(subscribe(self._witness, self._ledger, (), records))
        self._blame(self._witness.auditor.violations)
        self._blame(self._ledger.recheck(self._witness))
        self._blame(self._rebuilt_alike(records))

    def _rebuilt_alike(self, records: Sequence[RecordedEvent]) -> Iterator[str]:
        """P6: the living hotel, the fold of all its events, and its snapshot with the events after it are one."""
        for hotel in sorted({record.hotel for record in records}):
            living = self._host.describe(hotel)
            folded = HOTEL_TYPE.fold(HotelState(), (record for record in records if record.hotel == hotel))
            rebuilt = rebuild(self.journal(), hotel, HOTEL_TYPE)
            assert rebuilt is not None
            if not isinstance(living, StateReply) or wire.encode(living) != wire.encode(describe(folded)):
                yield f"{hotel} is not what its events make (P6)"
            if wire.encode(describe(rebuilt)) != wire.encode(describe(folded)):
                yield f"{hotel} from its snapshot is not what its events make (P6)"
            if rebuilt.calendars != folded.calendars:
                yield f"{hotel} from its snapshot has other calendars than its events make (P6)"

    def _take_over(self) -> None:
        """Another process opens the journal while the old one still lives; the old one can do no more harm."""
        stalled, self._host = self._host, self._open()
        requests = self._clients.requests(self._witness, 3)
        for request in requests:
            self._ledger.sent(request)
        before = len(self._disk.transactions)
        with suppress(Fenced):
            stalled.handle([request.asked() for request in requests])
        if len(self._disk.transactions) != before:
            self._blame(["a writer that was superseded has written"])
        stalled.close()

    def _settle(self) -> None:
        """No more faults: whoever waits gets an answer, whoever asks again gets the same one."""
        self._faults.rate = 0.0
        self._restart()
        self._say(list(self._ledger.unanswered.values()))
        answered = list(self._ledger.answered.values())
        self._say(self._random.sample(answered, min(len(answered), 30)))
        if self._ledger.unanswered:
            self._blame([f"nobody answers {', '.join(map(str, self._ledger.unanswered.values()))}"])
        self._restart()
        self._blame(self._ledger.doubled(self._witness))


def _needless(requests: Sequence[Request], answers: Sequence[Result]) -> Iterator[str]:
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer.response, Unavailable):
            yield f"{request} got no answer though nothing was wrong: {answer.response.reason}"


class _Alarm(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "refused a claim" in record.msg:
            self.heard.append(record.getMessage())


@contextmanager
def alarm() -> Iterator[list[str]]:
    """Keeps the house's logs to itself, and the times that a hotel and a room did not agree."""
    handler = _Alarm()
    loggers = [logging.getLogger(name) for name in ("innkeeper", "Thespian")]
    propagated = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield handler.heard
    finally:
        for logger, propagate in zip(loggers, propagated, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
