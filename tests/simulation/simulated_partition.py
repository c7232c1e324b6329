"""A whole partition and its clients in one thread, from one seed: real host, router, hotels and rooms; simulated time,
disk, crashes and faults. The same seed gives the same run, byte for byte.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import count
from random import Random

from innkeeper.actors.partition.clock import ServerClock
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.messages import PendingBatch
from innkeeper.actors.partition.recovery import rebuild
from innkeeper.actors.reservations.rules.state import HotelState, describe
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.envelope import Result
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refusal, Unavailable
from innkeeper.protocol.ports.journal import JournalFenced
from innkeeper.protocol.reservations.refusals import DayNotOver
from innkeeper.protocol.reservations.replies import HotelStateReply
from innkeeper.protocol.values.contexts import BILLING, RESERVATIONS
from innkeeper.protocol.values.instants import microseconds
from innkeeper.storage.memory.database import MemoryDatabase
from simulation.actor_faults import actor_fault
from simulation.batch_checks import check_batch
from simulation.client_record import ClientRecord, Request
from simulation.clients import Clients, is_simulated
from simulation.event_model import FIRST_DAY, EventModel
from simulation.faulty_journal import Crash, Disk, DiskReader, Faults, FaultyJournal
from simulation.guest_checks import PersonalTexts, contacts
from simulation.simulated_payments import SimulatedPayments
from simulation.simulated_services import SimulatedNotifications
from simulation.simulated_subscriber import SimulatedSubscriber
from support.actor_systems import open_actor_system
from support.partition_fixture import HOTEL_TYPE

STEPS = 100
SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
ActorFaults = AbstractContextManager[Sequence[str]]

_NO_FAULT: ActorFaults = nullcontext(())
_RATES = (0.0, 0.02, 0.06, 0.15)
_FAULT_RATES = (0.0, 0.03, 0.1)


@dataclass(slots=True)
class SimulationResult:
    """The result of a seed. `digest` covers every answer and every byte on the disk."""

    seed: int
    events: int = 0
    crashes: int = 0
    actor_faults: int = 0
    refusals: int = 0
    answers: int = 0
    violations: list[str] = field(default_factory=list)
    digest: str = ""


class SimulatedPartition:
    """The partition of one seed. `host` and `acknowledges_early` are for tests that break it."""

    def __init__(
        self, seed: int, steps: int = STEPS, host: type[Host] = Host, acknowledges_early: bool = False
    ) -> None:
        self._random = Random(seed)
        self._steps = steps
        self._host_kind = host
        self._disk = Disk(acknowledges_early)
        self._faults = Faults(Random(seed + 1), self._random.choice(_RATES))
        self._fault_rate = self._random.choice(_FAULT_RATES)
        self._at = microseconds(datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, 12, tzinfo=UTC))
        self._counted = self._at  # the clock that only counts; the one on the wall may differ from it
        self._random_bytes = Random(seed + 5).randbytes
        self._ids = (f"id-{number:05d}" for number in count(1))
        self._record = ClientRecord()
        self._clients = Clients(self._random, self._record)
        self._model = EventModel()
        self._bill_ids = count(1)
        self._personal_texts = PersonalTexts()
        self._digest = blake2b(digest_size=16)
        self._subscriber_random = Random(seed + 2), self._random.choice(_RATES)
        self._billing_random = Random(seed + 3), self._random.choice(_RATES)
        self._notifications_random = Random(seed + 4), self._random.choice(_RATES)
        self._host = self._open()
        self.result = SimulationResult(seed)

    def run(self) -> SimulationResult:
        """Run all steps, and then an end without faults, after which there must be no violation."""
        steps: dict[Callable[[], None], int] = {
            self._batch: 72, self._work: 12, self._advance_clock: 8, self._snapshots: 4, self._restart: 2,
            self._fence: 2,
        }  # fmt: skip
        with refused_claims_log() as refused_claims, self._services_open():
            for _ in range(self._steps):
                (step,) = self._random.choices(list(steps), list(steps.values()))
                self._pass_time(10 * 60 * SECOND)
                step()
                self._personal_texts.note(self._disk.guests)
            self._settle()
            while self._billing.settle_payments():
                self._ask_for_saga()
            for service in self._services:
                self._report(service.settle())
            self._report(self._remains())
        self._host.close()
        self._report(f"a room refused a claim of its hotel: {message}" for message in refused_claims)
        self.result.events = len(self._disk.rows)
        for transaction in self._disk.transactions:
            self._digest.update(repr(transaction).encode())
        self.result.digest = self._digest.hexdigest()
        return self.result

    def _open(self) -> Host:
        host = self._host_kind(
            FaultyJournal(self._disk, self._faults),
            ServerClock(lambda: self._at, lambda: self._counted),
            lambda: next(self._ids),
            HOTEL_TYPE,
            open_actor_system,
            self._random_bytes,
        )
        host.on_commit = self._published
        host.recover()
        return host

    def _published(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """No event that is not on the disk may be published."""
        durable = [(row.hotel, row.hotel_seq) for row in self._disk.rows[:position]][-len(records) :]
        if not self._disk.acknowledges_early and self._disk.durable < len(self._disk.transactions):
            self._report(["events were published before they were on disk (P3)"])
        if durable != [(record.hotel, record.hotel_seq) for record in records]:
            self._report(["the published events are not those on the disk (P5)"])
        self._subscriber.deliver(position, records)
        self._billing.deliver(position, records)
        self._notifications.deliver(RESERVATIONS, position, records)

    @contextmanager
    def _services_open(self) -> Iterator[None]:
        """Open all services."""
        self._subscriber = SimulatedSubscriber(self._disk, *self._subscriber_random, lambda: self._at, MemoryDatabase())
        self._billing = SimulatedPayments(
            self._disk, *self._billing_random, lambda: self._at, lambda: f"bill-{next(self._bill_ids)}",
            MemoryDatabase(),
            lambda position, records: self._notifications.deliver(BILLING, position, records),
        )  # fmt: skip
        self._notifications = SimulatedNotifications(
            self._disk, self._billing.disk, *self._notifications_random, lambda: self._at, MemoryDatabase()
        )
        self._services = (self._subscriber, self._billing, self._notifications)
        try:
            yield
        finally:
            for service in self._services:
                service.close()

    def _work(self) -> None:
        for service in self._services:
            service.work()
        self._ask_for_saga()

    def _ask_for_saga(self) -> None:
        """Carry out what the saga of paid holds asks of reservations."""
        if self._billing.bus.wanted:
            self._execute([*self._billing.bus.wanted.values()])

    def _report(self, violations: Sequence[str] | Iterator[str]) -> None:
        self.result.violations.extend(violations)

    def _batch(self) -> None:
        number = self._random.choice((1, 1, 1, 2, 2, 5))
        requests = self._clients.requests(self._model, number)
        keyed = [request for request in requests if request.key is not None]
        if keyed and self._random.random() < 0.15:
            requests.append(self._random.choice(keyed))  # a client that repeats it in the same batch
        faulty = self._random.random() < self._fault_rate
        self._execute(requests, actor_fault(self._random) if faulty else _NO_FAULT)

    def _execute(self, requests: Sequence[Request], actor_fault: ActorFaults = _NO_FAULT) -> None:
        """Execute a batch, and check its answers and events."""
        for request in requests:
            self._record.record_request(request)
        faults = self._faults.count
        try:
            with actor_fault as raised:
                answers = self._carry_out(requests)
        except Crash:
            self._crash()
            return
        self.result.actor_faults += bool(raised)
        self._digest.update(repr(answers).encode())
        self._billing.bus.answer(requests, answers)
        self.result.answers += len(answers)
        self.result.refusals += sum(isinstance(answer.response, Refusal) for answer in answers)
        self._report(
            check_batch(self._model, self._record, list(zip(requests, answers, strict=True)), self._new_records())
        )
        if not raised and faults == self._faults.count and not self._host.is_loading:
            self._report(_needless_refusals(requests, answers, self._host.watch.now()))
            self._report(
                f"hold {booking} did not expire in time"
                for booking in self._model.expired_holds(self._host.watch.now())
            )

    def _carry_out(self, requests: Sequence[Request]) -> list[Result]:
        """Execute in one batch, or in two of which the second is decided before the first is on the disk."""
        confirm = any(getattr(request.message, "confirm_clock", False) for request in requests)
        cut = 0 if confirm else self._random.randrange(len(requests) + 1)  # the time of a confirmed clock may be later
        batches = [[request.envelope() for request in part] for part in (requests[:cut], requests[cut:])]
        answers: list[Result] = []
        waiting = []
        for batch in batches:
            if self._host.must_drain:
                answers += self._finish(waiting)
                waiting = []
            if self._host.is_loading:
                self._host.load(batch)
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

    def _new_records(self) -> list[RecordedEvent]:
        """The events on the disk that the model does not have yet."""
        return [record for _, record in self.journal().read(after=self._model.position)]

    def journal(self) -> DiskReader:
        """A reader of the disk."""
        return DiskReader(self._disk)

    def _pass_time(self, at_most: int) -> None:
        passed = self._random.randrange(at_most)
        self._at += passed
        self._counted += passed

    def _advance_clock(self) -> None:
        """Let time pass; or let the clock on the wall jump, or be right again."""
        if self._random.random() < 0.6:
            self._pass_time(self._random.choice((HOUR, 6 * HOUR, DAY, 2 * DAY)))
        elif self._at != self._counted and self._random.random() < 0.7:
            self._at = self._counted
        else:
            self._at += self._random.choice((HOUR, DAY, 365 * DAY, -HOUR, -DAY))
        self._execute([])

    def _snapshots(self) -> None:
        try:
            self._host.save_snapshots(self._random.choice((1, 5, 20)), self._random.randint(1, 3))
        except Crash:
            self._crash()

    def _crash(self) -> None:
        """End the process, in half of the cases with a power loss, and start it again."""
        self.result.crashes += 1
        self._restart(self._random.random() < 0.5)

    def _restart(self, power_lost: bool = True) -> None:
        self._host.close()
        if power_lost:
            self._disk.lose_power()
        self._subscriber.restart()
        self._billing.restart(power_lost)
        self._notifications.restart()
        self._host = self._open()
        self._model = EventModel()
        records = self._new_records()
        self._report(check_batch(self._model, self._record, (), records))
        self._report(self._model.auditor.violations)
        self._report(self._record.recheck(self._model))
        self._report(self._rebuild_violations(records))
        self._report(contacts(self._model, self._disk.guests))

    def _rebuild_violations(self, records: Sequence[RecordedEvent]) -> Iterator[str]:
        """P6: the live hotel, the fold of all its events, and its snapshot with the events after it are equal."""
        for hotel in sorted({record.hotel for record in records}):
            live = self._host.describe(hotel)
            folded = HOTEL_TYPE.fold(HotelState(), (record for record in records if record.hotel == hotel))
            rebuilt, _ = rebuild(self.journal(), hotel, HOTEL_TYPE)
            assert rebuilt is not None
            if not isinstance(live, HotelStateReply) or wire.encode(live) != wire.encode(describe(folded)):
                yield f"{hotel} differs from the fold of its events (P6)"
            if wire.encode(describe(rebuilt)) != wire.encode(describe(folded)):
                yield f"{hotel} rebuilt from its snapshot differs from the fold of its events (P6)"
            if rebuilt.calendars != folded.calendars:
                yield f"{hotel} rebuilt from its snapshot has other calendars than the fold of its events (P6)"

    def _fence(self) -> None:
        """Another process opens the journal while the old one still runs; the old one is fenced."""
        stalled, self._host = self._host, self._open()
        requests = self._clients.requests(self._model, 3)
        for request in requests:
            self._record.record_request(request)
        before = len(self._disk.transactions)
        with suppress(JournalFenced):
            stalled.handle([request.envelope() for request in requests])
        if len(self._disk.transactions) != before:
            self._report(["a superseded writer has written"])
        stalled.close()

    def _settle(self) -> None:
        """Without faults every unanswered request is answered, and every repeated one has the same answer."""
        self._faults.rate = 0.0
        self._restart()
        self._execute(list(self._record.unanswered.values()))
        answered = list(self._record.answered.values())
        self._execute(self._random.sample(answered, min(len(answered), 30)))
        if self._record.unanswered:
            self._report([f"there is no answer to {', '.join(map(str, self._record.unanswered.values()))}"])
        self._restart()
        self._report(self._record.repeated(self._model))

    def _remains(self) -> Iterator[str]:
        """What is left of forgotten guests, once all have followed."""
        for name, stored in (("reservations", self._disk), ("billing", self._billing.disk)):
            for (guest, _), kept in stored.guests.items():
                if guest in self._model.forgotten and kept.guest.details is not None:
                    yield f"{name} has details of guest {guest}, who is forgotten"
        for guest, text in self._personal_texts.left_of(self._model.forgotten, self._notifications.contents()):
            yield f"notifications has {text!r} of guest {guest}, who is forgotten"


def _needless_refusals(requests: Sequence[Request], answers: Sequence[Result], now: int) -> Iterator[str]:
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer.response, DayNotOver) and not answer.replayed:
            over_at = microseconds(answer.response.over_at)
            if over_at <= now and not is_simulated(request.message.hotel):
                yield f"{request} was refused, although the date was over at {over_at} (P12)"
        if isinstance(answer.response, Unavailable):
            yield f"{request} was refused without a fault: {answer.response.reason}"


class _RefusedClaims(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "disagree" in record.msg:
            self.messages.append(record.getMessage())


@contextmanager
def refused_claims_log() -> Iterator[list[str]]:
    """Keep the log records of the program out of the output; the messages about refused claims."""
    handler = _RefusedClaims()
    loggers = [logging.getLogger(name) for name in ("innkeeper", "Thespian")]
    propagated = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield handler.messages
    finally:
        for logger, propagate in zip(loggers, propagated, strict=True):
            logger.removeHandler(handler)
            logger.propagate = propagate
