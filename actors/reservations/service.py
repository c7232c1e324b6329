"""The service of reservations: the partitions of its hotels, each with the read models that follow its journal."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple

from innkeeper.actors.cluster.partition_router import PartitionRouter
from innkeeper.actors.cluster.parts import Parts
from innkeeper.actors.partition import recovery
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.opening import HostPorts, open_host
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.reservations.hold_payments import HOLD_PAYMENT_EVENT_TYPES, HoldPayments
from innkeeper.actors.reservations.read_model_task import ReadModelTask
from innkeeper.actors.reservations.router import hotel_type
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.subscriptions import EventHandler, EventLog
from innkeeper.protocol.ports.views import FollowingViews
from innkeeper.protocol.values.contexts import RESERVATIONS


class PartitionPorts(NamedTuple):
    """What a partition of reservations needs: the name of its log, its host's ports, the key of the locators, which is
    read before the journal is opened, and its read models, which are opened after it has recovered."""

    log: str
    host: HostPorts
    locator_key: Callable[[], bytes]
    open_views: Callable[[EventLog], AbstractContextManager[FollowingViews]]


async def start_reservations(parts: Parts, partitions: Sequence[PartitionPorts]) -> None:
    """Starts the partitions of this process, and connects to the others, unless this process is one of them."""
    buses: dict[str, MessageBus] = {}
    logs = {ports.log for ports in partitions}
    for ports in partitions:
        log = ports.log
        if parts.runs(log):
            await _start_partition(parts, ports)
            buses[log] = parts.partitions[log]
        elif not logs.issuperset(parts.names):
            remote = parts.connect(log)
            buses[log], parts.partition_views[log] = remote.client, remote.views
            parts.add_log(log, remote.client, remote.log)
    parts.buses[RESERVATIONS] = PartitionRouter(buses) if len(buses) != 1 else next(iter(buses.values()))


async def _start_partition(parts: Parts, ports: PartitionPorts) -> None:
    log, exits = ports.log, parts.exits
    partition = Partition(partial(_open_host, ports), ports.host.clock, log, parts.load)
    await partition.start()
    exits.push_async_callback(partition.stop)
    parts.add_log(log, partition, exits.enter_context(ports.host.open_log()))
    parts.partitions[log] = partition
    views = exits.enter_context(ports.open_views(parts.logs[log]))
    parts.partition_views[log] = views
    task = ReadModelTask(log, views, ports.host.clock, parts.load)
    parts.commits.call(task.notify_of_events)
    exits.push_async_callback(_stop, task, asyncio.create_task(task.run()))


async def _stop(task: ReadModelTask, running: "asyncio.Task[None]") -> None:
    task.stop()
    await asyncio.wait({running})


def _open_host(ports: PartitionPorts) -> Host:
    return open_host(ports.host, hotel_type(ports.locator_key()))


def _hold_payments(buses: Mapping[str, MessageBus]) -> EventHandler:
    return HoldPayments(buses).handle


HOLD_PAYMENTS = HOLD_PAYMENT_EVENT_TYPES, _hold_payments
"""The types of events that the saga of paid holds follows, and its handler, from the message buses by context."""

check_snapshots = partial(recovery.check_snapshots, aggregate_type=hotel_type(b""))
"""Checks each snapshot in a journal of reservations; see `recovery.check_snapshots`."""
