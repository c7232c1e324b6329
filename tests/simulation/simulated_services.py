"""Billing and notifications in the simulation: the real ones, each with its own disk, with deliveries that lose, repeat
and reorder notifications of commits, disks that fail, processes that crash, and a mail server that refuses.

At the end each event of reservations has had its effects on the ledger once and in order, and each notice was sent once
(P5).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any

from innkeeper.actors.billing.event_handler import BILLING_EVENT_TYPES, BillingEventHandler
from innkeeper.actors.billing.router import LEDGER
from innkeeper.actors.billing.rules.decisions import decide
from innkeeper.actors.billing.rules.state import LedgerState, evolve
from innkeeper.actors.notifications.event_handler import NOTIFICATIONS_EVENT_TYPES, NotificationsEventHandler
from innkeeper.actors.notifications.outbox_relay import OutboxRelay
from innkeeper.actors.partition.host import Host
from innkeeper.actors.subscriptions.recent_events import RecentEvents
from innkeeper.actors.subscriptions.subscriber import Subscriber, nothing_to_sync
from innkeeper.protocol.billing.commands import ApplyReservationEvent, PostCharge, RecordPayment
from innkeeper.protocol.billing.events import BuyerChanged, ChargePosted, ChargeReversed, FolioOpened
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.ports.message_bus import CommitListener
from innkeeper.protocol.ports.outbox import AddressReport, SendFailed, SettleNotice
from innkeeper.protocol.ports.subscriptions import Stalled, SubscriptionRequest
from innkeeper.protocol.reservations.events import CheckOutUndone, GuestCheckedOut, GuestForgotten
from innkeeper.protocol.values.contexts import BILLING, RESERVATIONS
from innkeeper.protocol.values.guests import bare
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.taxes import ChargeKind
from innkeeper.storage.audit.billing import BillingAuditor
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.outbox import MemoryOutbox
from innkeeper.storage.memory.service_store import MemoryServiceStore
from msgspec.structs import replace
from simulation.expected_notices import ExpectedNotices
from simulation.faulty_journal import Crash, Disk, DurableLog, Faults, FaultyJournal
from simulation.simulated_subscriber import DatabaseFull, FaultyDelivery
from support.actor_systems import open_actor_system

_BATCH_SIZES = (1, 3, 64)
_PAUSE_SECONDS = 60


class SimulatedBilling:
    """Billing, with a host and a disk of its own, and random charges and payments."""

    def __init__(
        self,
        reservations: Disk,
        random: Random,
        rate: float,
        clock: Callable[[], int],
        ids: Callable[[], str],
        database: MemoryDatabase,
        published: CommitListener,
    ) -> None:
        self.disk = Disk()
        self._reservations = reservations
        self._random = random
        self._faults = Faults(random, rate)
        self._clock = clock
        self._ids = ids
        self._database = database
        self._on_commit = published
        self._loop = asyncio.new_event_loop()
        self._bills: list[tuple[str, str]] = []
        self._open()

    def _open(self) -> None:
        self._waiting: list[tuple[Envelope, asyncio.Future[Result]]] = []
        self._host = Host(FaultyJournal(self.disk, self._faults), self._clock, self._ids, LEDGER, open_actor_system)
        self._host.on_commit = self._published
        self._host.recover()
        self._delivery = FaultyDelivery(RecentEvents(DurableLog(self._reservations)), self._random, self._faults.rate)
        cursor = MemoryServiceStore(self._database).open_cursor(
            SubscriptionRequest("billing", BILLING_EVENT_TYPES), RESERVATIONS, self._delivery.log
        )
        self._subscriber = Subscriber(
            [cursor], BillingEventHandler(self).handle, self._clock, batch_events=self._random.choice(_BATCH_SIZES)
        )

    ready = True
    position = 0
    waiting = 0

    def subscribe(self, listener: CommitListener) -> None:
        """See `protocol.ports.message_bus.MessageBus`."""

    async def ask(self, asked: Envelope) -> Result:
        """See `protocol.ports.message_bus.MessageBus`: all envelopes of one moment are one batch."""
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
        self._on_commit(position, records)

    def deliver(self, position: int, records: Sequence[RecordedEvent]) -> None:
        """Deliver a commit of reservations."""
        self._delivery.deliver(position, records)

    def work(self) -> None:
        """Handle some events, and post some charges and payments."""
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
        return RecordPayment(hotel, booking, method="cash", amount=amount, allow_overpayment=True)

    def restart(self, power_lost: bool = False) -> None:
        """End the process, perhaps with a power loss, and start it again."""
        self._host.close()
        if power_lost:
            self.disk.lose_power()
        self._open()

    def close(self) -> None:
        """Close the host."""
        self._host.close()
        self._loop.close()

    def settle(self) -> Iterator[str]:
        """Without faults, handle all events; the violations."""
        self._faults.rate = 0.0
        self.restart()
        for letter in self._subscriber.dead_letters():
            self._subscriber.redrive(letter.event)
        while self._loop.run_until_complete(self._subscriber.step()):
            pass
        records = self.disk.records()
        auditor = BillingAuditor()
        auditor.handle(records)
        yield from auditor.violations
        events = self._reservations.records()
        for hotel in sorted({record.hotel for record in events}):
            of_hotel = ([one for one in log if one.hotel == hotel] for log in (events, records))
            yield from _billing_violations(hotel, *of_hotel)
        yield from _price_violations(events, records)


def _price_violations(events: Sequence[RecordedEvent], recorded: Sequence[RecordedEvent]) -> Iterator[str]:
    """The nights of each guest who has left are charged at the price of the booking."""
    charged: Counter[str] = Counter()
    for record in recorded:
        if isinstance(record.event, ChargePosted | ChargeReversed) and record.event.line.night is not None:
            charged[record.event.booking] += record.event.line.amount
    prices: dict[str, int] = {}
    for record in events:
        if isinstance(record.event, CheckOutUndone):
            prices.pop(record.event.booking, None)
        elif isinstance(record.event, GuestCheckedOut):
            prices[record.event.booking] = sum(line.total for line in record.event.lines)
    for booking, price in prices.items():
        if charged[booking] != price:
            yield f"{booking} was charged {charged[booking]} for its nights, whose price is {price} (P10)"


def _billing_violations(
    hotel: str, events: Sequence[RecordedEvent], recorded: Sequence[RecordedEvent]
) -> Iterator[str]:
    """Replay the ledger: the effects of each event of reservations, once and in order."""
    state = LedgerState()
    unapplied = list(events)

    def effects_of(record: RecordedEvent) -> list[Any]:
        command = ApplyReservationEvent(hotel, record)
        return list(decide(state, command, Envelope(command, at=record.at)).events)

    forgotten = {record.event.guest for record in events if isinstance(record.event, GuestForgotten)}
    causes = {record.id for record in events}
    groups: list[list[RecordedEvent]] = []
    for record in recorded:
        if groups and groups[-1][0].cause == record.cause:
            groups[-1].append(record)
        else:
            groups.append([record])
    for group in groups:
        if (cause := group[0].cause) in causes:
            while unapplied and unapplied[0].id != cause:
                if effects_of(unapplied.pop(0)):
                    yield f"{hotel}: billing has skipped an event before {cause} (P5)"
            if not unapplied:
                yield f"{hotel}: {cause} was applied twice or out of order (P5)"
                return
            applied = unapplied.pop(0)
            if _comparable(effects_of(applied), forgotten) != _comparable((one.event for one in group), forgotten):
                yield f"{hotel}: the ledger has other events than {cause} causes (P5)"
        for record in group:
            evolve(state, record)
    for record in unapplied:
        if effects_of(record):
            yield f"{hotel}: billing has not applied {record.id} (P5)"


def _comparable(effects: Iterable[Event], forgotten: set[str]) -> list[Event]:
    """The events with their buyers as far as they are told: versions and salts differ. How the buyer of a guest changed
    who is forgotten cannot be told any more."""
    told: list[Event] = []
    for event in effects:
        if isinstance(event, FolioOpened | BuyerChanged):
            event = replace(event, buyer=replace(event.buyer, version=0, hash=b""))
            if event.buyer.id in forgotten:
                event = replace(event, buyer=bare(event.buyer))
                if isinstance(event, BuyerChanged):
                    continue
        told.append(event)
    return told


class _FaultyOutbox(MemoryOutbox):
    """An outbox that fails as disks and processes do."""

    is_faulty: Callable[[], bool]
    choice: Callable[[Sequence[BaseException]], BaseException]
    crash: Crash | None = None  # of the process: nothing is written after it

    def store(self, *what: Any) -> None:
        super().store(*what)
        self._fail()

    def mark_sent(self, *what: Any) -> None:
        self._fail()
        super().mark_sent(*what)

    def _fail(self) -> None:
        if self.crash is not None:
            raise self.crash
        if self.is_faulty():
            raise self.choice([Crash("while it is written"), DatabaseFull()])


class SimulatedNotifications:
    """Notifications and its outbox relay, with a transport that fails."""

    def __init__(
        self,
        reservations: Disk,
        billing: Disk,
        random: Random,
        rate: float,
        clock: Callable[[], int],
        database: MemoryDatabase,
    ) -> None:
        self._disks = {RESERVATIONS: reservations, BILLING: billing}
        self._random = random
        self._rate = rate
        self._clock = clock
        self._latest = 0
        self._database = database
        self._loop = asyncio.new_event_loop()
        self._delivered: Counter[str] = Counter()
        self._notices: dict[str, Notice] = {}
        self._perhaps_unmarked: Counter[str] = Counter()
        self._open()

    def _open(self) -> None:
        store = MemoryServiceStore(self._database)
        self._outbox = _FaultyOutbox(self._database, "mail")
        self._outbox.is_faulty, self._outbox.choice = self._is_faulty, self._random.choice
        self._deliveries = {
            log: FaultyDelivery(RecentEvents(DurableLog(disk)), self._random, self._rate)
            for log, disk in self._disks.items()
        }
        request = SubscriptionRequest("notifications", NOTIFICATIONS_EVENT_TYPES)
        cursors = [store.open_cursor(request, log, delivery.log) for log, delivery in self._deliveries.items()]
        self._notifications = NotificationsEventHandler(self._outbox, self._clock, lambda: None)
        self._subscriber = Subscriber(
            cursors, self._notifications.handle, self._clock, batch_events=self._random.choice(_BATCH_SIZES)
        )
        self._relay = OutboxRelay(
            "mail", self._outbox, self._send, nothing_to_sync, self._report, lambda _: _PAUSE_SECONDS, self._clock
        )

    def deliver(self, log: str, position: int, records: Sequence[RecordedEvent]) -> None:
        """Deliver a commit of this log."""
        self._deliveries[log].deliver(position, records)

    def contents(self) -> list[object]:
        """All that is stored."""
        return [dict(self._database.table(name)) for name in ("hotels", "bookings", "notices")]

    async def _report(self, _: AddressReport) -> None:
        """The simulation has no addresses that are refused for good: the next letter to one may be accepted."""

    async def _send(self, notices: Iterable[Notice], settle: SettleNotice) -> None:
        for notice in notices:
            if not self._is_faulty():
                self._deliver(notice)
                if self._is_faulty():
                    self._outbox.crash = Crash("before it was marked as sent")
                    raise self._outbox.crash
                settle(notice, None)
                continue
            faults = (SendFailed("not now"), SendFailed("never", permanent=True), SendFailed("away", unreachable=True))
            fault = self._random.choice((*faults, Crash("before it was sent")))
            if isinstance(fault, Crash):
                self._outbox.crash = fault
                raise fault
            settle(notice, fault)
            if fault.unreachable:
                return

    def _deliver(self, notice: Notice) -> None:
        self._delivered[notice.id] += 1
        self._notices[notice.id] = notice
        if self._delivered[notice.id] > 1 + self._perhaps_unmarked[notice.id]:
            self._delivered[notice.id] += 1_000  # there was no reason to send it again

    def work(self) -> None:
        """Handle some events, and send some notices."""
        self._latest = max(self._latest, self._clock())
        for _ in range(self._random.randrange(4)):
            worker = self._random.choice((self._subscriber, self._relay))
            before = self._delivered.copy()
            try:
                self._loop.run_until_complete(worker.step())
            except (Stalled, DatabaseFull, Crash) as error:
                # What was sent during a fault may not have been marked as sent.
                self._perhaps_unmarked.update(id_ for id_ in self._delivered if self._delivered[id_] > before[id_])
                if isinstance(error, Crash):
                    self.restart()

    def restart(self) -> None:
        """End the process, and start it again."""
        self._open()

    def close(self) -> None:
        """Close the event loop."""
        self._loop.close()

    def settle(self) -> Iterator[str]:
        """Without faults, and with every dead letter redriven, send all notices; the violations."""
        self._rate = 0.0
        self.restart()
        for letter in self._subscriber.dead_letters():
            self._subscriber.redrive(letter.event)
        while self._loop.run_until_complete(self._subscriber.step()):
            pass
        if letters := self._subscriber.dead_letters():
            yield f"notifications could not handle {letters[0].event}: {letters[0].reason} (P5)"
        for letter in self._relay.dead_letters():
            self._relay.redrive(letter.event, drop=False)
        while self._loop.run_until_complete(self._relay.step()):
            pass
        self._latest = max(self._latest, self._clock())
        kept = [one.notice for one in self._database.table("notices").values()]
        yield from ExpectedNotices(self._disks).violations(self._delivered, self._notices, kept, self._latest)

    def _is_faulty(self) -> bool:
        return self._random.random() < self._rate
