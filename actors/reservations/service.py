"""The service of reservations: the partitions of its hotels, each with the read models that follow its journal."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import NamedTuple

from innkeeper.actors.cluster.partition_router import PartitionRouter
from innkeeper.actors.cluster.parts import Parts
from innkeeper.actors.partition import recovery
from innkeeper.actors.partition.host import HostPorts, open_host
from innkeeper.actors.partition.load_meter import LoadMeter
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.reservations.router import HOTEL
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.views import Views
from innkeeper.protocol.values.contexts import RESERVATIONS


class PartitionPorts(NamedTuple):
    """What a partition of reservations needs: the name of its log, its host's ports, and its read models, which are
    opened after it has recovered."""

    log: str
    host: HostPorts
    open_views: Callable[[], AbstractContextManager[Views]]


async def start_reservations(parts: Parts, partitions: Sequence[PartitionPorts]) -> None:
    """Starts the partitions of this process, and connects to the others, unless this process is one of them."""
    buses: dict[str, MessageBus] = {}
    logs = {ports.log for ports in partitions}
    for ports in partitions:
        log = ports.log
        if parts.runs(log):
            running = _running(ports, parts.load)
            partition, parts.partition_views[log] = await parts.exits.enter_async_context(running)
            buses[log] = parts.partitions[log] = partition
            parts.add_log(log, partition, parts.exits.enter_context(ports.host.open_log()))
        elif not logs.issuperset(parts.names):
            remote = parts.connect(log)
            buses[log], parts.partition_views[log] = remote.client, remote.views
            parts.add_log(log, remote.client, remote.log)
    parts.buses[RESERVATIONS] = PartitionRouter(buses) if len(buses) != 1 else next(iter(buses.values()))


@asynccontextmanager
async def _running(ports: PartitionPorts, load: LoadMeter) -> AsyncIterator[tuple[Partition, Views]]:
    partition = Partition(partial(open_host, ports.host, HOTEL), ports.host.clock, ports.log, load)
    await partition.start()
    try:
        with ports.open_views() as views:
            yield partition, views
    finally:
        await partition.stop()


check_snapshots = partial(recovery.check_snapshots, aggregate_type=HOTEL)
"""Checks each snapshot in a journal of reservations; see `recovery.check_snapshots`."""
