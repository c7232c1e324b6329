#!/usr/bin/env python3
"""Innkeeper from the command line. The only file that knows every room of the house; it puts them together."""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from random import random

from aiohttp import web
from innkeeper.actors.billing.event_handler import BILLING_EVENT_TYPES, BillingEventHandler
from innkeeper.actors.billing.router import LEDGER
from innkeeper.actors.cluster.partition_router import PartitionedViews, PartitionRouter
from innkeeper.actors.cluster.rpc_client import RemoteEventLog, RemoteViews, RpcClient
from innkeeper.actors.cluster.rpc_server import RpcServer, ServedPorts
from innkeeper.actors.cluster.supervisor import CannotStart, Supervised, Supervisor
from innkeeper.actors.cluster.thread_bridge import ThreadBridge
from innkeeper.actors.delivery.event_writer import EventWriter
from innkeeper.actors.notifications.notifier import NOTIFIER_EVENT_TYPES, Notifier
from innkeeper.actors.notifications.outbox_relay import OutboxRelay
from innkeeper.actors.partition.aggregate_type import AggregateType
from innkeeper.actors.partition.clock_and_ids import clock, uuid7
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.partition.recovery import check_snapshots
from innkeeper.actors.reservations.router import HOTEL
from innkeeper.actors.subscriptions.service import Service
from innkeeper.actors.subscriptions.services import Services
from innkeeper.actors.system.event_loop import run_async
from innkeeper.actors.system.garbage_collector import freeze_startup_objects
from innkeeper.delivery.archive import Archive
from innkeeper.delivery.backoff import delay_seconds
from innkeeper.delivery.brokers.brokers import broker_consumer, publisher
from innkeeper.delivery.integrations import IntegrationError, Integrations, mail_transport, providers
from innkeeper.delivery.payments.payments import PAYMENT_EVENT_TYPES, Payments
from innkeeper.delivery.webhooks.client import WebhookClient
from innkeeper.delivery.webhooks.webhooks import Webhooks
from innkeeper.http.app import make_app
from innkeeper.http.commands.client_commands import manage_dead_letters, replay
from innkeeper.http.commands.command_line import CannotRun, command_line, with_command
from innkeeper.http.commands.demo_data import load_demo_data
from innkeeper.http.keys import Keys, read_keys
from innkeeper.http.origin_check import HostPolicy
from innkeeper.http.serving import CannotListen, free_port, reserved, serving, serving_on
from innkeeper.protocol.ports.journal import Fenced, JournalError
from innkeeper.protocol.ports.message_bus import CommitStream, MessageBus
from innkeeper.protocol.ports.subscriptions import EventLog, SubscriptionRequest
from innkeeper.protocol.ports.views import Views
from innkeeper.protocol.values.contexts import (
    BILLING,
    DELIVERY,
    GATEWAY,
    NOTIFICATIONS,
    RESERVATIONS,
    context_of,
    gateways,
    is_gateway,
    log_of,
    reservations_logs,
)
from innkeeper.storage.audit.billing import BillingAuditor
from innkeeper.storage.audit.reservations import ReservationsAuditor
from innkeeper.storage.data_directory import DataDirectory, DataInUse, DataUnusable
from innkeeper.storage.sqlite.cursors import Migration, SqliteCursor, open_service
from innkeeper.storage.sqlite.event_log import SqliteEventLog
from innkeeper.storage.sqlite.inbox import SqliteInbox
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.outbox import SqliteOutbox, create_outbox
from innkeeper.storage.sqlite.read_models import SqliteReadModels
from innkeeper.storage.sqlite.schema import closed_on_failure
from innkeeper.storage.sqlite.webhook_store import SqliteWebhookStore, create_webhook_store
from sqlite_utils import Database
from tqdm import tqdm

_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 5.0  # a part may still be finishing what it accepted when its successor begins
EXIT_VIOLATED, EXIT_USAGE, EXIT_IN_USE, EXIT_DAMAGED = 1, 2, 3, 4

logger = logging.getLogger("innkeeper")


OpenResources = Callable[[Service], AbstractAsyncContextManager[None]]


class Application:
    """The parts of an inn that live in this process, and lines to those others that they need."""

    def __init__(
        self, data: DataDirectory, outside: Integrations, clock: Callable[[], int], parts: Collection[str]
    ) -> None:
        """`parts` by name; all of them where none is named."""
        self.data = data
        self.outside = outside
        self.clock = clock
        self.parts = parts
        self.partitions: dict[str, Partition] = {}
        self.lines: dict[str, RpcClient] = {}
        self.billing_bus = ThreadBridge()
        self.desks: dict[str, MessageBus] = {BILLING: self.billing_bus}
        self.sources: dict[str, CommitStream] = {}
        self.logs: dict[str, EventLog] = {}
        self.services = Services()

    async def open(self, ends: AsyncExitStack) -> None:
        """Begin, one after the other; `ends` says how each ends."""
        views = await self._open_partitions(ends)
        closing = await ends.enter_async_context(AsyncExitStack())  # when the services have stopped
        self._open_reservations(views, closing)
        ends.push_async_callback(self.services.stop)
        if not self.parts or set(self.parts) - set(self.partitions):
            await self._open_billing(closing)
            await self._open_notifications(closing)
            await self._open_delivery(closing)
        self.views = PartitionedViews(views)
        await self._publish()
        for part in self.parts:
            if not is_gateway(part):
                desk = self.billing_bus if part == BILLING else self.partitions.get(part)
                behind = ServedPorts(
                    desk, self.sources.get(part), self.logs.get(part), views.get(part), self.services.ask
                )
                door = RpcServer(self.data.socket(part), behind)
                await door.open()
                ends.push_async_callback(door.close)

    def app(self, keys: Keys | None = None, hosts: HostPolicy | None = None) -> web.Application:
        """The gateway before it."""
        providers = self.outside.providers
        return make_app(self.desks, self.sources, self.logs, self.views, self.services, keys, providers, hosts)

    async def connected(self, seconds: float) -> None:
        """Wait until the other parts answer, at most so long: requests to one that was not reached yet are refused."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for line in self.lines.values():
                    await line.connected()

    async def ended(self) -> None:
        """Wait for the end of a partition or a service that nobody asked to end; raises what ended it."""
        partitions = (asyncio.ensure_future(partition.ended()) for partition in self.partitions.values())
        lives = {*partitions, *self.services.ended()} or {asyncio.get_running_loop().create_future()}
        for done in (await asyncio.wait(lives, return_when=asyncio.FIRST_COMPLETED))[0]:
            done.result()

    async def _open_partitions(self, ends: AsyncExitStack) -> dict[str, Views]:
        """Those that are here, with their read models."""
        views: dict[str, Views] = {}
        for number, log in enumerate(reservations_logs(self.data.partitions())):
            if self._here(log):
                recover = partial(self._recover, self.data.journal(number), HOTEL)
                partition = self.partitions[log] = Partition(recover, self.clock, log)
                await partition.start()
                ends.push_async_callback(partition.stop)
                views[log] = seen = SqliteReadModels(self.data.views(number), self.data.journal(number), log)
                seen.start()
                ends.callback(seen.stop)
        return views

    def _open_reservations(self, views: dict[str, Views], closing: AsyncExitStack) -> None:
        """All partitions as one desk; `views` gains those of the partitions elsewhere."""
        desks: dict[str, MessageBus] = {}
        logs = reservations_logs(self.data.partitions())
        for number, log in enumerate(logs):
            if self._here(log):
                desks[log] = self.partitions[log]
                self._hear(log, self.partitions[log], self._read(self.data.journal(number), closing))
            elif not set(self.parts) <= set(logs):
                line, read_there = self._reach(log, closing)
                desks[log], views[log] = line, (seen := RemoteViews(line))
                closing.callback(seen.close)
                self._hear(log, line, read_there)
        self.desks[RESERVATIONS] = PartitionRouter(desks)

    async def _open_billing(self, closing: AsyncExitStack) -> None:
        if self._here(BILLING):
            await self._follow(BILLING, self._billing, closing)
            self._hear(BILLING, self.billing_bus, self._read(self.data.billing, closing))
        else:
            line, read_there = self._reach(BILLING, closing)
            self.billing_bus.open(line)
            self._hear(BILLING, self.billing_bus, read_there)

    async def _open_notifications(self, closing: AsyncExitStack) -> None:
        if self._here(NOTIFICATIONS):
            await self._follow(NOTIFICATIONS, self._notifications, closing)
        elif self._is_front:
            self._reach(NOTIFICATIONS, closing)

    async def _open_delivery(self, closing: AsyncExitStack) -> None:
        if self._here(DELIVERY):
            self.bulletin = EventWriter(SqliteJournal(self.data.delivery_log), self.clock)
            closing.callback(self.bulletin.close)
            self._hear(DELIVERY, self.bulletin, self._read(self.data.delivery_log, closing))
            await self._follow(DELIVERY, self._delivery, closing)
        elif self._is_front:
            self._hear(DELIVERY, *self._reach(DELIVERY, closing))

    @property
    def _is_front(self) -> bool:
        return any(map(is_gateway, self.parts))

    def _here(self, part: str) -> bool:
        return not self.parts or part in self.parts

    def _hear(self, log: str, source: CommitStream, read: EventLog) -> None:
        self.sources[log], self.logs[log] = source, read

    def _read(self, journal: Path, closing: AsyncExitStack) -> SqliteEventLog:
        log = SqliteEventLog(journal)
        closing.callback(log.close)
        return log

    def _reach(self, part: str, closing: AsyncExitStack) -> tuple[RpcClient, RemoteEventLog]:
        """A line to a part in another process, and to its log."""
        line = self.lines[part] = RpcClient(part, self.data.socket(part))
        line.start()
        closing.push_async_callback(line.stop)
        if self._is_front:
            self.services.add(part, line.ask_service)
        log = RemoteEventLog(line)
        closing.callback(log.close)
        return line, log

    def _recover(self, path: Path, trade: AggregateType) -> Host:
        """A host on a journal, with its hotels rebuilt."""
        host = Host(journal := SqliteJournal(path), self.clock, uuid7, trade)
        bar = tqdm(unit=" events", desc="recovering", disable=not sys.stderr.isatty(), leave=False)
        with closed_on_failure(journal), bar:
            host.recover(lambda events: bar.update(events - bar.n) and None)
        return host

    def _is_under_load(self) -> bool:
        crowds: list[Partition | RpcClient] = [*self.partitions.values(), *self.lines.values()]
        return any(crowd.is_under_load() for crowd in crowds)

    async def _follow(self, name: str, resources: OpenResources, closing: AsyncExitStack) -> None:
        """A service that follows all logs that there are so far. Those of other processes come from the broker, where
        there is one."""
        elsewhere = {log: read for log, read in self.logs.items() if not self._here(log)}
        if not self.outside.broker or not elsewhere:
            await self._start(name, resources, self.logs, self.sources)
            return
        inbox = SqliteInbox(self.data.inbox(name), elsewhere)
        closing.callback(inbox.close)
        partitions = self.data.partitions()
        log = lambda record: log_of(record.event.context, record.hotel, partitions)  # noqa: E731
        consumer = broker_consumer(self.outside.broker, name, inbox, log)

        @asynccontextmanager
        async def fed(service: Service) -> AsyncIterator[None]:
            async with resources(service):
                task = asyncio.create_task(consumer.run())
                try:
                    yield
                finally:
                    await _cancelled(task)

        await self._start(name, fed, {**self.logs, **inbox.logs}, {**self.sources, **inbox.logs})

    async def _start(
        self,
        name: str,
        resources: OpenResources,
        logs: Mapping[str, EventLog],
        sources: Mapping[str, CommitStream],
    ) -> None:
        service = Service(name, resources, logs, self.clock, self._is_under_load)
        await self.services.start(service, sources)

    @asynccontextmanager
    async def _billing(self, service: Service) -> AsyncIterator[None]:
        """Billing, with a partition and a journal of its own."""
        partition = Partition(partial(self._recover, self.data.billing, LEDGER), self.clock, BILLING)
        await partition.start()
        life = asyncio.create_task(partition.ended())
        service.needs(life)
        try:
            with self._database(service):
                self.billing_bus.open(partition)
                service.subscribe(
                    SubscriptionRequest(BILLING, BILLING_EVENT_TYPES), BillingEventHandler(partition).handle
                )
                yield
        finally:
            await partition.stop()
            await asyncio.wait({life})

    @asynccontextmanager
    async def _notifications(self, service: Service) -> AsyncIterator[None]:
        """Notifications, which decides what guests are told, and the mailroom that tells them."""
        async with mail_transport(self.outside, self.data.templates, self.data.mail, self.clock) as send:
            with self._database(service, create_outbox) as db:
                outbox = SqliteOutbox(db, "mail")
                pause_seconds = lambda attempts: delay_seconds(attempts, random())  # noqa: E731
                mailroom = OutboxRelay("mail", outbox, send, pause_seconds, self.clock, service.busy)
                notifier = Notifier(outbox, self.clock, mailroom.notify)
                service.handlers.update(notifier.handlers)
                service.subscribe(SubscriptionRequest(NOTIFICATIONS, NOTIFIER_EVENT_TYPES), notifier.handle)
                service.add_task(mailroom)
                try:
                    yield
                finally:
                    notifier.close()

    @asynccontextmanager
    async def _delivery(self, service: Service) -> AsyncIterator[None]:
        """Delivery, which carries events out of the building."""
        outside = self.outside
        with self._database(service, create_webhook_store) as db:
            asked = providers(outside, self.data.provider_secret, service.ask, self.clock)
            payments = Payments(self.billing_bus, asked, self.clock)
            service.handlers.update(payments.handlers)
            service.subscribe(SubscriptionRequest("payments", PAYMENT_EVENT_TYPES), payments.handle, batch_events=1)
            service.subscribe(SubscriptionRequest("archive"), Archive(outside.archive or str(self.data.archive)).handle)
            async with WebhookClient(to_loopback=outside.webhooks_to_loopback) as poster:
                endpoints, publish = SqliteWebhookStore(db), self.bulletin.publish
                webhooks = Webhooks(endpoints, service, service.logs, poster, self.clock, uuid7, publish)
                service.handlers.update(webhooks.handlers)
                yield

    async def _publish(self) -> None:
        """What happens here goes to the broker, if there is one."""
        logs = {log: read for log, read in self.logs.items() if self._here(log)}
        if self.outside.broker and logs:
            await self._start(self._named("publisher"), self._publisher, logs, self.sources)

    def _named(self, what: str) -> str:
        """Whose this is: that of the part that is here, or of all partitions of reservations, or of the whole inn."""
        names = [*self.parts] if len(self.parts) == 1 else {*map(context_of, self.parts)}
        return "-".join((what, *names))

    @asynccontextmanager
    async def _publisher(self, service: Service) -> AsyncIterator[None]:
        broker = publisher(self.outside.broker)
        with self._database(service):
            service.subscribe(SubscriptionRequest(self._named("broker")), broker.handle)
            try:
                yield
            finally:
                await broker.close()

    @contextmanager
    def _database(self, service: Service, *migrations: Migration) -> Iterator[Database]:
        """A service's own database, with the cursors of its subscribers."""
        db = open_service(self.data.service(service.name), *migrations)
        service.open_cursor = lambda subscribe, log: SqliteCursor(db, subscribe, log, service.logs[log])
        try:
            yield db
        finally:
            db.close()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


@asynccontextmanager
async def running(
    path: Path, outside: Integrations, clock: Callable[[], int] = clock, parts: Collection[str] = ()
) -> AsyncIterator[Application]:
    """An inn, or these parts of it, on a data directory; stopped in good order at the end."""
    async with AsyncExitStack() as ends:
        data = DataDirectory(path)
        owned = data.lock_shared() if parts == [GATEWAY] else data.lock(*parts, patience_seconds=_PATIENCE_SECONDS)
        ends.enter_context(owned if parts else data.lock())
        inn = Application(data, outside, clock, parts)
        await inn.open(ends)
        yield inn


async def until_stopped(welcome: str, failed: Coroutine[object, object, object]) -> None:
    """Say that all is ready, and wait for SIGTERM or Ctrl-C; raises what `failed` raises before that."""
    freeze_startup_objects()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(welcome, file=sys.stderr)
    await first_of(stopped.wait(), failed)
    print("Finishing what was accepted …", file=sys.stderr)


async def first_of(*waits: Coroutine[object, object, object]) -> None:
    """Wait until one of these is over; raises what it raises."""
    waiting = {asyncio.create_task(wait) for wait in waits}
    done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in left:
        task.cancel()
    for task in done:
        task.result()


async def demo(options: argparse.Namespace) -> None:
    """Two hotels with guests on this machine alone."""
    await whole(options, None)


async def serve(options: argparse.Namespace) -> None:
    """Production: keys are required."""
    options.empty = True
    await whole(options, read_keys(options.keys))


async def whole(options: argparse.Namespace, keys: Keys | None) -> None:
    """All parts of an inn in this process. Nothing is made where its port is in use."""
    outside = Integrations.from_options(options)
    with reserved(options.host, options.port) as sockets:
        begin(options)
        async with running(options.data, outside) as inn:
            await load_demo_data_once(inn, options)
            async with serving_on(inn.app(keys, HostPolicy.from_options(options)), sockets) as port:
                await until_stopped(welcome(options, port), inn.ended())


async def load_demo_data_once(inn: Application, options: argparse.Namespace) -> None:
    """The demo's hotels, where there are none and some are wished for."""
    for line in inn.lines.values():
        await line.connected()
    if not options.empty and not any((await inn.desks[RESERVATIONS].positions()).values()):
        await load_demo_data(inn.desks, inn.services, sys.stderr.isatty())


def welcome(options: argparse.Namespace, port: int) -> str:
    """Where to go."""
    if options.run is serve:
        return f"Serving http://{options.host}:{port}, data: {options.data}"
    desk = f"Front desk: http://127.0.0.1:{port}   API: http://127.0.0.1:{port}/docs   data: {options.data}\n"
    return desk + "Ctrl-C stops it; what was booked is there again at the next start."


def begin(options: argparse.Namespace) -> list[str]:
    """Make the data directory, if there is none; the partitions of reservations that there are."""
    return [*reservations_logs(DataDirectory(options.data).partitions(options.partitions))]


async def part(options: argparse.Namespace) -> None:
    """One part of an inn, in a process of its own; the others are reached through their doors in the data directory."""
    parts, outside = [options.part], Integrations.from_options(options)
    if options.part == RESERVATIONS:
        parts = begin(options)
        if options.partition is not None:
            if not 0 <= options.partition < len(parts):
                raise CannotRun(f"there is no partition {options.partition}: there are {len(parts)}")
            parts = [parts[options.partition]]
    else:
        await made(options.data)
    async with running(options.data, outside, parts=parts) as inn, entrance(inn, options):
        await until_stopped(f"{', '.join(parts)}: ready, data: {options.data}", inn.ended())


async def made(data: Path) -> None:
    """Wait for who makes the data directory."""
    if not DataDirectory(data).is_made:
        print(f"Waiting for reservations to begin in {data} …", file=sys.stderr)
    while not DataDirectory(data).is_made:  # noqa: ASYNC110 (another process makes it)
        await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def entrance(inn: Application, options: argparse.Namespace) -> AsyncIterator[None]:
    """The gateway, where this part is one."""
    if not any(map(is_gateway, inn.parts)):
        yield
        return
    keys = read_keys(options.keys) if options.keys else None
    async with serving(inn.app(keys, HostPolicy.from_options(options)), options.host, options.port, shared=True):
        yield


async def supervised_part(name: str, supervised: Supervised) -> None:
    """One part of an installation, for its supervisor."""
    given = json.loads(supervised.greeting)
    options = parsed(given["arguments"])
    options.port = given["port"]
    async with running(options.data, Integrations.from_options(options), parts=[name]) as inn:
        if is_gateway(name):
            await inn.connected(_PATIENCE_SECONDS)
        async with entrance(inn, options):
            freeze_startup_objects()
            supervised.ready()
            await first_of(supervised.stopped(), inn.ended())


async def processes(options: argparse.Namespace, arguments: list[str]) -> None:
    """All parts of an installation, each in a process of its own."""
    data = DataDirectory(options.data)
    Integrations.from_options(options)
    if options.keys:
        read_keys(options.keys)
    reservations = begin(options)
    with (
        free_port(options.host, options.port) as options.port,
        data.lock("supervisor", patience_seconds=_PATIENCE_SECONDS),
    ):
        greeting = json.dumps({"arguments": arguments, "port": options.port}).encode()
        command = lambda name: [sys.executable, __file__, "part", name, str(options.data)]  # noqa: E731
        async with Supervisor(command, greeting) as supervisor:
            await supervisor.start([*reservations, BILLING, NOTIFICATIONS, DELIVERY])
            if options.run is demo:
                async with running(options.data, Integrations(), parts=[GATEWAY]) as inn:
                    await load_demo_data_once(inn, options)
            await supervisor.start(gateways(options.workers))
            await until_stopped(welcome(options, options.port), supervisor.failed())


def verify(options: argparse.Namespace) -> None:
    """Prove the promises over whole journals; prints a report, and ends with 1 where one is broken."""
    data = DataDirectory(options.data)
    if not data.journal(0).exists():
        raise CannotRun(f"{options.data} holds no journal; give the data directory with --data")
    billing = BillingAuditor()
    with data.lock():
        auditors = [ReservationsAuditor() for _ in range(data.partitions())]
        violations: list[str] = []
        for number, auditor in enumerate(auditors):
            violations += _audit(data.journal(number), auditor, HOTEL)
        if data.billing.exists():
            violations += _audit(data.billing, billing, LEDGER)
    counted = {
        "events": sum(auditor.events for auditor in auditors),
        "hotels": sum(len(auditor.hotels) for auditor in auditors),
        "billing_events": billing.events,
    }
    print(json.dumps({**counted, "violations": violations}, indent=2))
    if violations:
        raise CannotRun(f"{len(violations)} violations", EXIT_VIOLATED)


def _audit(path: Path, auditor: ReservationsAuditor | BillingAuditor, trade: AggregateType) -> list[str]:
    """What is wrong in a journal."""
    journal = SqliteJournal(path)
    try:
        bar = tqdm(journal.checked(), total=journal.position(), unit=" events", disable=not sys.stderr.isatty())
        auditor.handle(record for _, record in bar)
        return auditor.violations + check_snapshots(journal, trade)
    finally:
        journal.close()


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options of a command line."""
    top = command_line(
        {"demo": demo, "serve": serve, "verify": verify, "replay": replay, "dead-letters": manage_dead_letters}
        | dict.fromkeys((RESERVATIONS, BILLING, NOTIFICATIONS, DELIVERY, GATEWAY), part)
    )
    return top.parse_args(with_command(arguments))


def main(arguments: list[str] | None = None) -> int:
    """Run a command, by default that of the command line; the exit code says how it ended."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("innkeeper").setLevel(logging.INFO)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # what strangers send that is not HTTP is no error
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] == ["part"] and len(arguments) > 1:
            run_async(supervised_part(arguments[1], Supervised()))
            return 0
        options = parsed(arguments)
        if getattr(options, "processes", False):
            run_async(processes(options, arguments))
        elif getattr(options, "workers", 1) > 1:
            raise CannotRun("several gateways are several processes: --workers needs --processes")
        elif (work := options.run(options)) is not None:
            run_async(work)
    except (CannotRun, CannotStart, IntegrationError, CannotListen, DataUnusable, JournalError) as error:
        print(f"innkeeper: {error}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        return 130
    return 0


def exit_code(error: Exception) -> int:
    """How the program ends for this reason."""
    if isinstance(error, CannotRun | CannotStart):
        return error.code
    if isinstance(error, DataInUse | Fenced) or (isinstance(error, CannotListen) and error.in_use):
        return EXIT_IN_USE
    return EXIT_DAMAGED if isinstance(error, JournalError) else EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
