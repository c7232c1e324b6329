#!/usr/bin/env python3
"""Innkeeper from the command line. The only file that knows every folder: it parses, composes and runs.

What only some processes need is imported where it is needed: the others start in half the time.
"""

import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from innkeeper.actors.billing import service as billing
from innkeeper.actors.cluster.parts import Parts
from innkeeper.actors.cluster.supervisor import Supervisor, SupervisorPipes
from innkeeper.actors.delivery import service as delivery
from innkeeper.actors.notifications import service as notifications
from innkeeper.actors.partition.clock import checked, clock
from innkeeper.actors.partition.opening import HostPorts
from innkeeper.actors.reservations import service as reservations
from innkeeper.actors.system.actor_systems import ACTOR_SYSTEMS
from innkeeper.actors.system.event_loop import first_of, run_async, wait_for_stop
from innkeeper.actors.system.garbage_collector import freeze_startup_objects
from innkeeper.delivery.backoff import retry_seconds
from innkeeper.delivery.brokers.selection import open_inbox
from innkeeper.delivery.integrations import Integrations
from innkeeper.http.commands import data_commands
from innkeeper.http.commands.command_line import CannotRun, parse, welcome
from innkeeper.http.commands.progress import recovery_progress, verification_progress, waited_for
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.values import contexts
from innkeeper.protocol.values.contexts import BILLING, DELIVERY, GATEWAY, NOTIFICATIONS, RESERVATIONS
from innkeeper.protocol.values.operator_error import OperatorError
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.memory.storage import MemoryStorage
from innkeeper.storage.sqlite.storage import SqliteStorage
from uuid_utils import uuid7

if TYPE_CHECKING:
    from innkeeper.storage.operations.verify import VerificationReport

_LOCK_SECONDS_MAX = 5.0  # the process that had the lock before may still be finishing its commands
_CONNECT_SECONDS_MAX = 5.0


async def start(parts: Parts, data: DataDirectory, storage: Storage, integrations: Integrations) -> None:
    """Composes and starts the parts that run in this process, and clients of the other parts that they need."""
    clock = parts.clock

    def host(log: str) -> HostPorts:
        write, read = partial(storage.journal, log), partial(storage.event_log, log)
        return HostPorts(write, read, clock, uuid7, recovery_progress, ACTOR_SYSTEMS[integrations.actor_system])

    partitions = [
        reservations.PartitionPorts(log, host(log), storage.locator_key, partial(storage.views, log))
        for log in contexts.reservations_logs(storage.installation().partitions)
    ]
    await reservations.start_reservations(parts, partitions)
    if not parts.names or set(parts.names) - set(parts.partitions):
        from innkeeper.delivery import adapters

        await billing.start_billing(parts, billing.BillingPorts(storage.service_store, host(BILLING)))
        notices = notifications.NotificationsPorts(
            partial(storage.notification_store, relay=notifications.RELAY),
            partial(adapters.mail_transport, integrations, data.templates, data.mail, clock),
            retry_seconds,
        )
        await notifications.start_notifications(parts, notices)
        delivering = delivery.DeliveryPorts(
            storage.delivery_store,
            partial(storage.journal, DELIVERY),
            partial(storage.event_log, DELIVERY),
            partial(adapters.open_archive, integrations, data.archive, storage.installation()),
            adapters.PAYMENT_EVENT_TYPES,
            partial(adapters.open_payments, integrations, data.provider_secret, clock, storage.installation()),
            retry_seconds,
            reservations.HOLD_PAYMENTS,
            partial(adapters.open_webhooks, integrations, clock, uuid7),
        )
        await delivery.start_delivery(parts, delivering)
    if integrations.broker:
        from innkeeper.delivery import adapters

        open_handler = partial(adapters.open_publisher, integrations, storage.installation())
        await delivery.start_publisher(parts, delivery.PublisherPorts(storage.service_store, open_handler))
    await parts.serve()


@asynccontextmanager
async def running(
    path: Path,
    integrations: Integrations,
    clock: Callable[[], int] = clock,
    names: Collection[str] = (),
    memory: MemoryStorage | None = None,
) -> AsyncIterator[Parts]:
    """Runs an installation, or these parts of it, on a data directory or in memory; stopped in order at the end."""
    data, storage = DataDirectory(path), memory or SqliteStorage(DataDirectory(path))
    async with AsyncExitStack() as exits:
        if memory is None:
            lock = partial(data.lock, *names, patience_seconds=_LOCK_SECONDS_MAX if names else 0)
            exits.enter_context(data.lock_shared() if names == [GATEWAY] else lock())
        open_from_broker = partial(open_inbox, integrations.broker, storage) if integrations.broker else None
        logs = contexts.reservations_logs(storage.installation().partitions)
        time = checked(clock) if not names or {*names} & {*logs} else clock  # a night audit can confirm it there
        parts = Parts(names, storage.installation(), data.socket, time, open_from_broker, exits)
        await start(parts, data, storage, integrations)
        yield parts


async def run_all(options: SimpleNamespace) -> None:
    """Run all parts in this process. Nothing is written where the port is in use, or with --in-memory."""
    from innkeeper.http import gateway
    from innkeeper.http.commands.demo_data import load_demo_data

    keys, integrations = gateway.read_keys(options.keys), Integrations.from_options(options)
    with gateway.reserved(options.host, options.port) as sockets:
        memory = MemoryStorage() if options.in_memory else None
        (memory or DataDirectory(options.data)).installation(options.installation, options.partitions)
        async with running(options.data, integrations, memory=memory) as parts:
            if not options.empty:
                await load_demo_data(parts.buses, parts.services)
            app = gateway.app_of(options, parts, integrations.providers, keys)
            async with gateway.serving_on(app, sockets) as port:
                await wait_for_stop(welcome(options, port), parts.ended())


def create(options: SimpleNamespace) -> list[str]:
    """Creates the data directory, if there is none; returns the names of its partitions."""
    made = DataDirectory(options.data).installation(options.installation, options.partitions)
    return [*contexts.reservations_logs(made.partitions)]


async def part(options: SimpleNamespace) -> None:
    """Run one part in this process; it finds the other parts through the data directory."""
    names = [options.command]
    if options.command == RESERVATIONS:
        names = create(options)
        if options.partition is not None:
            if not 0 <= options.partition < len(names):
                raise CannotRun(f"there is no partition {options.partition}: there are {len(names)}")
            names = [names[options.partition]]
    else:
        await waited_for(f"reservations to create {options.data}", lambda: DataDirectory(options.data).is_made)
    async with running_part(options, names) as parts:
        await wait_for_stop(f"{', '.join(names)}: ready, data: {options.data}", parts.ended())


@asynccontextmanager
async def running_part(options: SimpleNamespace, names: list[str], seconds: float = 0) -> AsyncIterator[Parts]:
    """Runs these parts; a gateway serves HTTP once it has reached the other parts, at most after so long."""
    integrations = Integrations.from_options(options)
    DataDirectory(options.data).installation(options.installation)  # refuses another name
    async with running(options.data, integrations, names=names) as parts:
        if not parts.has_gateway:
            yield parts
            return
        from innkeeper.http import gateway

        await parts.connected(seconds)
        app = gateway.app_of(options, parts, integrations.providers, gateway.read_keys(options.keys))
        async with gateway.serving(app, options.host, options.port, shared=True):
            yield parts


async def supervised_part(name: str, supervised: SupervisorPipes) -> None:
    """Runs one part for its supervisor."""
    given = json.loads(supervised.greeting)
    options = parse(given["arguments"])
    options.port = given["port"]
    async with running_part(options, [name], _CONNECT_SECONDS_MAX) as parts:
        freeze_startup_objects()
        supervised.ready()
        await first_of(supervised.stopped(), parts.ended())


async def run_processes(options: SimpleNamespace, arguments: list[str]) -> None:
    """Runs each part in its own process."""
    from innkeeper.http import gateway
    from innkeeper.http.commands.demo_data import load_demo_data

    _ = gateway.read_keys(options.keys), Integrations.from_options(options)  # which refuse wrong options
    data, partitions = DataDirectory(options.data), create(options)
    with (
        gateway.free_port(options.host, options.port) as options.port,
        data.lock("supervisor", patience_seconds=_LOCK_SECONDS_MAX),
    ):
        greeting = json.dumps({"arguments": arguments, "port": options.port}).encode()
        command = lambda name: [sys.executable, __file__, "part", name, str(options.data)]  # noqa: E731
        async with Supervisor(command, greeting) as supervisor:
            await supervisor.start([*partitions, BILLING, NOTIFICATIONS, DELIVERY])
            if not options.empty:
                async with running(options.data, Integrations(), names=[GATEWAY]) as parts:
                    await parts.connected()
                    await load_demo_data(parts.buses, parts.services)
            await supervisor.start(contexts.gateways(options.workers))
            await wait_for_stop(welcome(options, options.port), supervisor.failed())


def verified(storage: Storage) -> "VerificationReport":
    """Verifies the promises over the whole journals of an installation that nobody else uses."""
    from innkeeper.storage.operations.verify import verify

    return verify(storage, reservations.check_snapshots, billing.check_snapshots, verification_progress)


def verified_directory(path: Path) -> "VerificationReport":
    """Verifies the data directory at this path, which it locks. Raises OperatorError."""
    storage = SqliteStorage(DataDirectory(path))
    if RESERVATIONS not in map(contexts.context_of, storage.journals()):
        raise CannotRun(f"{path} has no journal; give the data directory with --data")
    with DataDirectory(path).lock():
        return verified(storage)


def data_command(options: SimpleNamespace) -> None:
    """Runs a command on a data directory."""
    from innkeeper.delivery.archive.selection import read_archive
    from innkeeper.storage.operations.accept_rollback import accept_rollback
    from innkeeper.storage.operations.backup import back_up
    from innkeeper.storage.operations.restore import restore

    runs = {
        "verify": partial(data_commands.verify, verified_directory),
        "backup": partial(data_commands.backup, back_up),
        "restore": partial(data_commands.restore, partial(restore, verified, read_archive, clock)),
        "accept-rollback": partial(data_commands.accept_rollback, partial(accept_rollback, read_archive, clock)),
    }
    runs[options.command](options)


def client_command(options: SimpleNamespace) -> Coroutine[object, object, None]:
    """Runs a command that is a client of a server."""
    from innkeeper.http.commands.client_commands import manage_dead_letters, replay

    return replay(options) if options.command == "replay" else manage_dead_letters(options)


_RUNS: dict[str, Callable[[SimpleNamespace], Coroutine[object, object, None] | None]] = {
    **dict.fromkeys(("demo", "serve"), run_all),
    **dict.fromkeys((RESERVATIONS, BILLING, NOTIFICATIONS, DELIVERY, GATEWAY), part),
    **dict.fromkeys(("verify", "backup", "restore", "accept-rollback"), data_command),
    **dict.fromkeys(("replay", "dead-letters"), client_command),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs a command, by default that of the command line; returns its exit code."""
    os.umask(0o077)  # what it writes is its owner's alone
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("innkeeper").setLevel(logging.INFO)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # requests that are not HTTP are not our errors
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] == ["part"] and len(arguments) > 1:
            run_async(supervised_part(arguments[1], SupervisorPipes()))
            return 0
        options = parse(arguments)
        if getattr(options, "processes", False):
            run_async(run_processes(options, arguments))
        elif (work := _RUNS[options.command](options)) is not None:
            run_async(work)
    except OperatorError as error:
        print(f"innkeeper: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
