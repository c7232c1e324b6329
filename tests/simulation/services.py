"""Billing and notifications in the simulated town: the real ones, each with its own disk, behind postmen who lose,
repeat and mix up what is broadcast, with disks that fail, processes that die, and couriers who do not come.

Whatever they go through, at the end each event of reservations has had its effects on the books once and in order, and
each guest was told everything once (P5).
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from innkeeper.actors.billing.event_handler import BILLING_EVENT_TYPES, BillingEventHandler
from innkeeper.actors.billing.router import LEDGER
from innkeeper.actors.billing.rules.decisions import decide
from innkeeper.actors.billing.rules.state import LedgerState, evolve
from innkeeper.actors.notifications.notifier import NOTIFIER_EVENT_TYPES, Notifier
from innkeeper.actors.notifications.outbox_relay import OutboxRelay
from innkeeper.actors.notifications.rules.notices import KnownBooking, KnownHotel, NoticeDecision, handle
from innkeeper.actors.partition.host import Host
from innkeeper.actors.subscriptions.recent_events import RecentEvents
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.billing.commands import ApplyReservationEvent, PostCharge, RecordPayment
from innkeeper.protocol.billing.events import FolioOpened, PaymentRecorded
from innkeeper.protocol.billing.terms import ChargeKind
from innkeeper.protocol.messages.command_context import CommandContext
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.notifications.notices import Notice, NoticeKind
from innkeeper.protocol.ports.message_bus import CommitListener, Envelope, Result
from innkeeper.protocol.ports.outbox import SendFailed
from innkeeper.protocol.ports.subscriptions import Stalled, SubscriptionRequest
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.values.contexts import BILLING, RESERVATIONS
from innkeeper.protocol.values.money import Money
from innkeeper.storage.audit.billing import BillingAuditor
from innkeeper.storage.sqlite.cursors import SqliteCursor, open_service
from innkeeper.storage.sqlite.outbox import SqliteOutbox, create_outbox
from simulation.faulty_journal import Crash, Disk, DiskReader, Faults, FaultyJournal
from simulation.follower import DurableLog, Postman

_PORTIONS = (1, 3, 64)
_PAUSE_SECONDS = 60


class BackOffice:
    """Billing, with a host and a disk of its own, and guests who eat and pay."""

    def __init__(
        self,
        reservations: Disk,
        random: Random,
        rate: float,
        clock: Callable[[], int],
        ids: Callable[[], str],
        folder: Path,
        published: CommitListener,
    ) -> None:
        self.disk = Disk()
        self._reservations = reservations
        self._random = random
        self._faults = Faults(random, rate)
        self._clock = clock
        self._ids = ids
        self._folder = folder
        self._tell = published
        self._loop = asyncio.new_event_loop()
        self._bills: list[tuple[str, str]] = []
        self._open()

    def _open(self) -> None:
        self._waiting: list[tuple[Envelope, asyncio.Future[Result]]] = []
        self._host = Host(FaultyJournal(self.disk, self._faults), self._clock, self._ids, LEDGER)
        self._host.on_commit = self._published
        self._host.recover()
        self._db = open_service(self._folder / "billing.db")
        self._postman = Postman(RecentEvents(DurableLog(self._reservations)), self._random, self._faults.rate)
        cursor = SqliteCursor(
            self._db, SubscriptionRequest("billing", BILLING_EVENT_TYPES), RESERVATIONS, self._postman.log
        )
        self._subscriber = Subscriber(
            [cursor], BillingEventHandler(self).handle, self._clock, batch_events=self._random.choice(_PORTIONS)
        )

    ready = True
    position = 0
    waiting = 0

    def subscribe(self, listener: CommitListener) -> None:
        """See `protocol.asking.Desk`."""

    async def ask(self, asked: Envelope) -> Result:
        """See `protocol.asking.Desk`: all that is asked at once is one batch."""
        future: asyncio.Future[Result] = self._loop.create_future()
        if not self._waiting:
            self._loop.call_soon(self._carry_out)
        self._waiting.append((asked, future))
        return await future

    def _carry_out(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            answers = self._host.handle([asked for asked, _ in batch])
        except Crash:
            for _, future in batch:
                future.cancel()
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)

    def _published(self, position: int, records: Sequence[RecordedEvent]) -> None:
        self._bills += [
            (record.hotel, record.event.booking) for record in records if isinstance(record.event, FolioOpened)
        ]
        self._tell(position, records)

    def told(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """What reservations broadcasts."""
        self._postman.bring(position, records)

    def work(self) -> None:
        """Take in some of what there is; now and then somebody eats, or pays."""
        for _ in range(self._random.randrange(4)):
            try:
                if self._bills and self._random.random() < 0.3:
                    self._host.handle([Envelope(self._command())])
                else:
                    self._loop.run_until_complete(self._subscriber.step())
            except Stalled:
                continue
            except (Crash, asyncio.CancelledError):
                self.restart()

    def _command(self) -> RecordPayment | PostCharge:
        hotel, booking = self._random.choice(self._bills)
        amount = Money(f"{self._random.randint(1, 300)}.00", "EUR")
        if self._random.random() < 0.3:
            return PostCharge(hotel, booking, charge=ChargeKind.MINIBAR, text="Water", unit_amount=amount)
        return RecordPayment(hotel, booking, method="cash", amount=amount)

    def restart(self, power_lost: bool = False) -> None:
        """The process is gone; perhaps the power, too."""
        self._host.close()
        self._db.close()
        if power_lost:
            self.disk.lose_power()
        self._open()

    def close(self) -> None:
        """No more."""
        self._host.close()
        self._db.close()
        self._loop.close()

    def settle(self) -> Iterator[str]:
        """No more faults; then what is wrong in the books."""
        self._faults.rate = 0.0
        self.restart()
        for letter in self._subscriber.dead_letters():
            self._subscriber.redrive(letter.event)
        while self._loop.run_until_complete(self._subscriber.step()):
            pass
        records = [record for _, record in DiskReader(self.disk).read()]
        auditor = BillingAuditor()
        auditor.handle(records)
        yield from auditor.violations
        happened = [record for _, record in DiskReader(self._reservations).read()]
        for hotel in sorted({record.hotel for record in happened}):
            of_hotel = ([one for one in log if one.hotel == hotel] for log in (happened, records))
            yield from _wrong_in_books(hotel, *of_hotel)


def _wrong_in_books(hotel: str, happened: Sequence[RecordedEvent], booked: Sequence[RecordedEvent]) -> Iterator[str]:
    """Follow the books entry by entry: what followed from each event of reservations, once and in order?"""
    state = LedgerState()
    untold = list(happened)

    def follows_from(record: RecordedEvent) -> list[Any]:
        return list(decide(state, ApplyReservationEvent(hotel, record), CommandContext(record.at, "")).events)

    causes = {record.id for record in happened}
    groups: list[list[RecordedEvent]] = []
    for record in booked:
        if groups and groups[-1][0].cause == record.cause:
            groups[-1].append(record)
        else:
            groups.append([record])
    for group in groups:
        if (cause := group[0].cause) in causes:
            while untold and untold[0].id != cause:
                if follows_from(untold.pop(0)):
                    yield f"{hotel}: billing has passed over an event before {cause} (P5)"
            if not untold:
                yield f"{hotel}: {cause} has had effects on the books twice, or out of its order (P5)"
                return
            if follows_from(untold.pop(0)) != [record.event for record in group]:
                yield f"{hotel}: what stands in the books does not follow from {cause} (P5)"
        for record in group:
            evolve(state, record)
    for record in untold:
        if follows_from(record):
            yield f"{hotel}: billing has never heard of {record.id} (P5)"


class _FaultyOutbox(SqliteOutbox):
    """Fails as disks and processes do."""

    unlucky: Callable[[], bool]
    choice: Callable[[Sequence[BaseException]], BaseException]

    def store(self, *what: Any) -> None:
        super().store(*what)
        self._fail()

    def mark_sent(self, notice: str) -> None:
        self._fail()
        super().mark_sent(notice)

    def _fail(self) -> None:
        if self.unlucky():
            raise self.choice([Crash("while it is written"), sqlite3.OperationalError("database or disk is full")])


class Post:
    """Notifications and its mailroom, with a courier who has his days."""

    def __init__(
        self,
        reservations: Disk,
        billing: Disk,
        random: Random,
        rate: float,
        clock: Callable[[], int],
        folder: Path,
    ) -> None:
        self._disks = {RESERVATIONS: reservations, BILLING: billing}
        self._random = random
        self._rate = rate
        self._clock = clock
        self._latest = 0
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._delivered: Counter[str] = Counter()
        self._doubtful: Counter[str] = Counter()
        self._open()

    def _open(self) -> None:
        self._db = open_service(self._folder / "notifications.db", create_outbox)
        self._outbox = _FaultyOutbox(self._db, "mail")
        self._outbox.unlucky, self._outbox.choice = self._unlucky, self._random.choice
        self._postmen = {
            log: Postman(RecentEvents(DurableLog(disk)), self._random, self._rate) for log, disk in self._disks.items()
        }
        request = SubscriptionRequest("notifications", NOTIFIER_EVENT_TYPES)
        cursors = [SqliteCursor(self._db, request, log, postman.log) for log, postman in self._postmen.items()]
        self._notifier = Notifier(self._outbox, self._clock, lambda: None)
        self._subscriber = Subscriber(
            cursors, self._notifier.handle, self._clock, batch_events=self._random.choice(_PORTIONS)
        )
        self._mailroom = OutboxRelay("mail", self._outbox, self._send, lambda _: _PAUSE_SECONDS, self._clock)

    def told(self, log: str, position: int, records: Sequence[RecordedEvent]) -> None:
        """What is broadcast."""
        self._postmen[log].bring(position, records)

    async def _send(self, notice: Notice) -> None:
        if self._unlucky():
            faults = (SendFailed("not now"), SendFailed("never", permanent=True), SendFailed("away", unreachable=True))
            raise self._random.choice((*faults, Crash("before it was sent")))
        self._delivered[notice.id] += 1
        if self._delivered[notice.id] > 1 + self._doubtful[notice.id]:
            self._delivered[notice.id] += 1_000  # nobody had a reason to send it again

    def work(self) -> None:
        """Decide and send some of what there is."""
        self._latest = max(self._latest, self._clock())
        for _ in range(self._random.randrange(4)):
            worker = self._random.choice((self._subscriber, self._mailroom))
            before = self._delivered.copy()
            try:
                self._loop.run_until_complete(worker.step())
            except (Stalled, sqlite3.OperationalError, Crash) as error:
                # What was sent while something went wrong may not have been crossed out.
                self._doubtful.update(id_ for id_ in self._delivered if self._delivered[id_] > before[id_])
                if isinstance(error, Crash):
                    self.restart()

    def restart(self) -> None:
        """The process is gone."""
        self._notifier.close()
        self._db.close()
        self._open()

    def close(self) -> None:
        """No more."""
        self._notifier.close()
        self._db.close()
        self._loop.close()

    def settle(self) -> Iterator[str]:
        """No more faults, and a person who redrives every dead letter; then what is wrong with what was said."""
        self._rate = 0.0
        self.restart()
        if letters := self._subscriber.dead_letters():
            yield f"notifications could not cope with {letters[0].event}: {letters[0].reason} (P5)"
        while self._loop.run_until_complete(self._subscriber.step()):
            pass
        for letter in self._mailroom.dead_letters():
            self._mailroom.redrive(letter.event, drop=False)
        while self._loop.run_until_complete(self._mailroom.step()):
            pass
        self._latest = max(self._latest, self._clock())
        yield from self._wrong_in_letters(_Expected(self._disks))

    def _wrong_in_letters(self, expected: "_Expected") -> Iterator[str]:
        for id_ in self._delivered:
            if id_ not in expected.notices and id_ not in expected.uncertain:
                yield f"{id_} was told, and nobody had decided so (P5)"
            if self._delivered[id_] > 1_000:
                yield f"{id_} was told twice for no reason (P5)"
        waiting = {id_ for (id_,) in self._db.execute("SELECT id FROM notices")}
        for notice in expected.notices.values():
            in_time = notice.useful_until > self._latest
            if in_time and not notice.due_at and notice.id not in {*self._delivered, *waiting, *expected.uncertain}:
                yield f"{notice.id} was never told (P5)"
            is_due = notice.id in expected.waiting and in_time
            if is_due and notice.due_at and notice.id not in {*self._delivered, *waiting}:
                yield f"{notice.id} is not going to be told when its time comes (P5)"
            if notice.due_at and notice.id in waiting - expected.waiting:
                yield f"{notice.id} is still going to be told, though it was taken back (P5)"

    def _unlucky(self) -> bool:
        return self._random.random() < self._rate


class _Expected:
    """What should be said, as the rules make it of all that happened, without any of the ways it goes. A receipt goes
    to where the guest's letters go at that moment, if anywhere: where that changed, how the two logs met decides."""

    def __init__(self, disks: dict[str, Disk]) -> None:
        self.notices: dict[str, Notice] = {}
        self.waiting: set[str] = set()
        self.uncertain: set[str] = set()
        self._hotels: dict[str, KnownHotel | None] = {}
        self._bookings: dict[str, KnownBooking | None] = {}
        silent: set[str] = set()
        for _, record in DiskReader(disks[RESERVATIONS]).read():
            taken = self._take_in(record)
            if taken.booking is not None and taken.booking.email is None:
                silent.add(taken.booking.id)
            self.waiting.difference_update(taken.withdrawn)
            self.waiting.update(notice.id for notice in taken.notices if notice.due_at)
        for _, record in DiskReader(disks[BILLING]).read():
            if isinstance(record.event, PaymentRecorded):
                self._take_in(record)
                if record.event.booking in silent:
                    self.uncertain.add(f"{record.id}:{NoticeKind.RECEIPT.value}")

    def _take_in(self, record: RecordedEvent) -> NoticeDecision:
        name = record.event.booking if isinstance(record.event, BookingEvent) else ""
        taken = handle(self._hotels.get(record.hotel), self._bookings.get(name), record)
        self._hotels[record.hotel], self._bookings[name] = taken.hotel, taken.booking
        self.notices.update((notice.id, notice) for notice in taken.notices)
        return taken
