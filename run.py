#!/usr/bin/env python3
"""Innkeeper from the command line. The only file that knows every room of the house; it puts them together."""

import argparse
import asyncio
import gc
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from random import random
from typing import NamedTuple

from aiohttp import web
from innkeeper.actors.biller import TYPES as BILLED
from innkeeper.actors.biller import Biller
from innkeeper.actors.bulletin import Bulletin
from innkeeper.actors.host import Host
from innkeeper.actors.ledger import BILLING_TRADE
from innkeeper.actors.mailroom import Mailroom
from innkeeper.actors.next_door import NextDoor
from innkeeper.actors.notifier import TYPES as NOTED
from innkeeper.actors.notifier import NotifierHost
from innkeeper.actors.partition import Partition
from innkeeper.actors.recovery import snapshot_faults
from innkeeper.actors.service import Service
from innkeeper.actors.services import Services
from innkeeper.actors.stamps import clock, uuid7
from innkeeper.actors.trade import BOOKING, Trade
from innkeeper.delivery.archive import Archive
from innkeeper.delivery.backoff import delay_seconds
from innkeeper.delivery.brokers import publisher
from innkeeper.delivery.email import FolderCourier, mailbox
from innkeeper.delivery.letters import Letters
from innkeeper.delivery.payments import TYPES as PAID
from innkeeper.delivery.payments import Payments, SimulatedProvider
from innkeeper.delivery.posting import Poster
from innkeeper.delivery.signing import fresh_secret
from innkeeper.delivery.smtp import SmtpCourier, SmtpServer
from innkeeper.delivery.webhooks import Webhooks
from innkeeper.http.app import make_app
from innkeeper.http.command_line import MAIL_FROM, command_line, with_command
from innkeeper.http.dead_letters import CannotAsk, dead_letters
from innkeeper.http.furnishing import furnish
from innkeeper.http.keys import BadKeys, Keys
from innkeeper.http.replay import HistoryError, own_server, play
from innkeeper.http.serving import CannotListen, serving
from innkeeper.protocol.asking import Desk, Source
from innkeeper.protocol.contexts import BILLING, DELIVERY, RESERVATIONS
from innkeeper.protocol.journal import Fenced, JournalError
from innkeeper.protocol.outbox import Send
from innkeeper.protocol.payments import Provider
from innkeeper.protocol.subscribing import Subscribe
from innkeeper.storage.auditor import Auditor
from innkeeper.storage.billing_auditor import BillingAuditor
from innkeeper.storage.cursors import Migration, SqliteCursor, open_service
from innkeeper.storage.data_directory import DataDirectory, DataInUse, DataUnusable
from innkeeper.storage.endpoints import SqliteEndpoints, create_endpoints
from innkeeper.storage.journal import SqliteJournal
from innkeeper.storage.log import JournalLog
from innkeeper.storage.outbox import SqliteOutbox, create_outbox
from innkeeper.storage.read_models import ReadModels
from sqlite_utils import Database
from tqdm import tqdm

_SIMULATED = "simulated"
EXIT_VIOLATED, EXIT_USAGE, EXIT_IN_USE, EXIT_DAMAGED = 1, 2, 3, 4

logger = logging.getLogger("innkeeper")


class CannotRun(Exception):
    """Why the program ends at once, for the person at the terminal; `code` for the script that called."""

    def __init__(self, message: str, code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.code = code


class Outside(NamedTuple):
    """Where what leaves the building may go."""

    archive: str = ""
    webhooks_to_loopback: bool = False
    simulated_payments: bool = False
    smtp: SmtpServer | None = None
    mail_from: str = MAIL_FROM
    broker: str = ""

    @classmethod
    def chosen(cls, options: argparse.Namespace) -> "Outside":
        """As the command line says."""
        simulated = getattr(options, "simulated_payments", True)
        try:
            mailbox(options.mail_from)
            if options.smtp and options.mail_from == MAIL_FROM:
                raise ValueError("nobody said which address letters come from")
            smtp = SmtpServer.parse(options.smtp) if options.smtp else None
        except ValueError as error:
            raise CannotRun(f"no mail can be sent: {error}; see --smtp and --mail-from") from None
        try:
            publisher(options.broker) if options.broker else None
        except ValueError as error:
            raise CannotRun(f"no events can be published: {error}; see --broker") from None
        loopback = options.webhooks_to_loopback
        return cls(options.archive, loopback, simulated, smtp, options.mail_from, options.broker)


class Inn:
    """All that stands behind the gateway: a partition with its read models, and the services that listen to it."""

    def __init__(self, data: DataDirectory, outside: Outside, clock: Callable[[], int]) -> None:
        self.data = data
        self.outside = outside
        self.clock = clock
        self.partition = Partition(partial(self._open, data.journal, BOOKING), clock)
        self.back_office = NextDoor()
        self.desks: dict[str, Desk] = {RESERVATIONS: self.partition, BILLING: self.back_office}
        self.sources: dict[str, Source] = {}
        self.logs: dict[str, JournalLog] = {}
        self.services = Services()

    async def open(self, ends: AsyncExitStack) -> None:
        """Begin, one after the other; `ends` says how each ends."""
        await self.partition.start()
        ends.push_async_callback(self.partition.stop)
        self.views = ReadModels(self.data.views, self.data.journal)
        self.views.start()
        ends.callback(self.views.stop)
        closing = await ends.enter_async_context(AsyncExitStack())  # when the services have stopped
        ends.push_async_callback(self.services.stop)
        self._read_log(RESERVATIONS, self.partition, self.data.journal, closing)
        await self._start("billing", self._billing)
        self._read_log(BILLING, self.back_office, self.data.billing, closing)
        await self._start("notifications", self._notifications)
        self.bulletin = Bulletin(SqliteJournal(self.data.delivery_log), self.clock)
        closing.callback(self.bulletin.close)
        self._read_log(DELIVERY, self.bulletin, self.data.delivery_log, closing)
        await self._start("delivery", self._delivery)

    def app(self, keys: Keys | None = None) -> web.Application:
        """The gateway before it."""
        providers = (_SIMULATED,) if self.outside.simulated_payments else ()
        return make_app(self.desks, self.sources, self.logs, self.views, self.services, keys, providers)

    def _open(self, path: Path, trade: Trade) -> Host:
        """A host on a journal, with its hotels rebuilt."""
        host = Host(SqliteJournal(path), self.clock, uuid7, trade)
        with tqdm(unit=" events", desc="recovering", disable=not sys.stderr.isatty(), leave=False) as bar:
            host.recover(lambda events: bar.update(events - bar.n) and None)
        return host

    def _read_log(self, context: str, source: Source, path: Path, closing: AsyncExitStack) -> None:
        self.sources[context] = source
        self.logs[context] = JournalLog(path)
        closing.callback(self.logs[context].close)

    async def _start(self, name: str, furnish: Callable[[Service], AbstractAsyncContextManager[None]]) -> None:
        """A service, which hears of all logs that there are so far."""
        service = Service(name, furnish, self.logs, self.clock, self.partition.is_crowded)
        await self.services.start(service, self.sources)

    @asynccontextmanager
    async def _billing(self, service: Service) -> AsyncIterator[None]:
        """Billing, with a partition and a journal of its own."""
        partition = Partition(partial(self._open, self.data.billing, BILLING_TRADE), self.clock)
        await partition.start()
        try:
            with self._database(service):
                self.back_office.open(partition)
                service.follow(Subscribe("billing", BILLED), Biller(partition).take_in)
                yield
        finally:
            await partition.stop()

    @asynccontextmanager
    async def _notifications(self, service: Service) -> AsyncIterator[None]:
        """Notifications, which decides what guests are told, and the mailroom that tells them."""
        async with self._courier() as send:
            with self._database(service, create_outbox) as db:
                outbox = SqliteOutbox(db, "mail")
                pause_seconds = lambda attempts: delay_seconds(attempts, random())  # noqa: E731
                mailroom = Mailroom("mail", outbox, send, pause_seconds, self.clock, service.busy)
                notifier = NotifierHost(outbox, self.clock, mailroom.hear_of_news)
                service.answering.update(notifier.answering)
                service.follow(Subscribe("notifications", NOTED), notifier.take_in)
                service.employ(mailroom)
                try:
                    yield
                finally:
                    notifier.close()

    @asynccontextmanager
    async def _courier(self) -> AsyncIterator[Send]:
        """Who carries letters: to the mail server, or into a folder where there is none."""
        outside, letters = self.outside, Letters(self.data.templates)
        if outside.smtp is None:
            yield FolderCourier(self.data.mail, letters, outside.mail_from, self.clock)
            return
        courier = SmtpCourier(outside.smtp, letters, outside.mail_from, self.clock)
        try:
            yield courier
        finally:
            await courier.close()

    @asynccontextmanager
    async def _delivery(self, service: Service) -> AsyncIterator[None]:
        """Delivery, which carries events out of the building."""
        outside = self.outside
        with self._database(service, create_endpoints) as db:
            payments = Payments(self.back_office, self._providers(service), self.clock)
            service.answering.update(payments.answering)
            service.follow(Subscribe("payments", PAID), payments.take_in, portion_events=1)
            service.follow(Subscribe("archive"), Archive(outside.archive or str(self.data.archive)).take_in)
            async with Poster(to_loopback=outside.webhooks_to_loopback) as poster, self._publishing(service):
                endpoints, publish = SqliteEndpoints(db), self.bulletin.publish
                webhooks = Webhooks(endpoints, service, service.logs, poster, self.clock, uuid7, publish)
                service.answering.update(webhooks.answering)
                yield

    @asynccontextmanager
    async def _publishing(self, service: Service) -> AsyncIterator[None]:
        """All events go to the broker, if there is one."""
        async with AsyncExitStack() as ends:
            if self.outside.broker:
                broker = publisher(self.outside.broker)
                ends.push_async_callback(broker.close)
                service.follow(Subscribe("broker"), broker.take_in)
            yield

    def _providers(self, service: Service) -> dict[str, Provider]:
        """Who can be asked for money. What the simulated one signs with stands in the data directory."""
        if not self.outside.simulated_payments:
            return {}
        file = self.data.provider_secret
        if not file.exists():
            file.touch(0o600)
            file.write_text(fresh_secret())
        return {_SIMULATED: SimulatedProvider(_SIMULATED, file.read_text(), service.ask, self.clock)}

    @contextmanager
    def _database(self, service: Service, *migrations: Migration) -> Iterator[Database]:
        """A service's own database, with the cursors of its subscribers."""
        db = open_service(self.data.service(service.name), *migrations)
        service.open_cursor = lambda subscribe, log: SqliteCursor(db, subscribe, log, service.logs[log])
        try:
            yield db
        finally:
            db.close()


@asynccontextmanager
async def running(path: Path, outside: Outside, clock: Callable[[], int] = clock) -> AsyncIterator[Inn]:
    """An inn on a data directory, stopped in good order at the end."""
    async with AsyncExitStack() as ends:
        ends.enter_context(DataDirectory(path).ours())
        inn = Inn(DataDirectory(path), outside, clock)
        await inn.open(ends)
        yield inn


async def until_stopped(partition: Partition) -> None:
    """Wait for SIGTERM or Ctrl-C; raises what ends the partition before that."""
    gc.collect()
    gc.freeze()  # what stands now stands for long: the collector need not look at it again
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    ended, asked_to = asyncio.create_task(partition.ended()), asyncio.create_task(stopped.wait())
    await asyncio.wait({ended, asked_to}, return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        ended.result()
    ended.cancel()
    print("Finishing what was accepted …", file=sys.stderr)


async def demo(options: argparse.Namespace) -> None:
    """Two furnished hotels on this machine alone."""
    async with running(options.data, Outside.chosen(options)) as inn:
        if not options.empty and inn.partition.position == 0:
            await furnish(inn.desks, inn.services, sys.stderr.isatty())
        async with serving(inn.app(), "127.0.0.1", options.port) as port:
            print(
                f"Front desk: http://127.0.0.1:{port}   API: http://127.0.0.1:{port}/docs   data: {options.data}",
                file=sys.stderr,
            )
            print("Ctrl-C stops it; what was booked is there again at the next start.", file=sys.stderr)
            await until_stopped(inn.partition)


async def serve(options: argparse.Namespace) -> None:
    """Production: keys are required."""
    try:
        keys = Keys.read(options.keys)
    except (OSError, BadKeys, UnicodeDecodeError) as error:
        raise CannotRun(f"serve needs a file of keys (--keys): {error}") from None
    async with (
        running(options.data, Outside.chosen(options)) as inn,
        serving(inn.app(keys), options.host, options.port) as port,
    ):
        print(f"Serving http://{options.host}:{port}, data: {options.data}", file=sys.stderr)
        await until_stopped(inn.partition)


def verify(options: argparse.Namespace) -> None:
    """Prove the promises over whole journals; prints a report, and ends with 1 where one is broken."""
    data = DataDirectory(options.data)
    if not data.journal.exists():
        raise CannotRun(f"{options.data} holds no journal; give the data directory with --data")
    auditor, billing = Auditor(), BillingAuditor()
    with data.ours():
        violations = _audit(data.journal, auditor, BOOKING)
        if data.billing.exists():
            violations += _audit(data.billing, billing, BILLING_TRADE)
    counted = {"events": auditor.events, "hotels": len(auditor.hotels), "billing_events": billing.events}
    print(json.dumps({**counted, "violations": violations}, indent=2))
    if violations:
        raise CannotRun(f"{len(violations)} violations", EXIT_VIOLATED)


def _audit(path: Path, auditor: Auditor | BillingAuditor, trade: Trade) -> list[str]:
    """What is wrong in a journal."""
    journal = SqliteJournal(path)
    try:
        bar = tqdm(journal.checked(), total=journal.position(), unit=" events", disable=not sys.stderr.isatty())
        auditor.take_in(record for _, record in bar)
        return auditor.violations + snapshot_faults(journal, trade)
    finally:
        journal.close()


async def replay(options: argparse.Namespace) -> None:
    """Play a booking history through the HTTP API: of a running server, or of one that is started just for this."""
    try:
        async with own_server(Path(__file__)) if not options.url else nullcontext(options.url) as url:
            tally, decisions = await play(url, options.hotel, options.history, options.rooms, sys.stderr.isatty())
    except HistoryError as error:
        raise CannotRun(str(error)) from None
    if options.decisions:
        options.decisions.write_text(decisions, encoding="ascii")
    print(json.dumps(tally))


async def answer_dead_letters(options: argparse.Namespace) -> None:
    """List what subscribers could not take in, show one with its traceback, try it again, or go on without it."""
    if options.action != "list" and not options.event:
        raise CannotRun(f"say which: run.py dead-letters {options.action} SUBSCRIBER EVENT")
    try:
        print(await dead_letters(options.url, options.key, options.action, options.subscriber, options.event))
    except CannotAsk as error:
        raise CannotRun(str(error)) from None


def run_async(work: Coroutine[object, object, None]) -> None:
    """Run on uvloop where there is one."""
    try:
        import uvloop

        loops: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    except ImportError:
        loops = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(work)


def main(arguments: list[str]) -> int:
    """Run a command; the exit code says how it ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # what strangers send that is not HTTP is no error
    top = command_line(
        {"demo": demo, "serve": serve, "verify": verify, "replay": replay, "dead-letters": answer_dead_letters}
    )
    options = top.parse_args(with_command(arguments))
    try:
        work = options.run(options)
        if work is not None:
            run_async(work)
    except CannotRun as error:
        print(f"innkeeper: {error}", file=sys.stderr)
        return error.code
    except CannotListen as error:
        print(f"innkeeper: {error}", file=sys.stderr)
        return EXIT_IN_USE if error.in_use else EXIT_USAGE
    except DataUnusable as error:
        print(f"innkeeper: {error}", file=sys.stderr)
        return EXIT_IN_USE if isinstance(error, DataInUse) else EXIT_USAGE
    except JournalError as error:
        print(f"innkeeper: {error}", file=sys.stderr)
        return EXIT_IN_USE if isinstance(error, Fenced) else EXIT_DAMAGED
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
