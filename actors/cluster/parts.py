"""The parts of an installation as one process sees them: those that run in it, and clients of the others."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from innkeeper.actors.cluster.partition_router import PartitionedViews
from innkeeper.actors.cluster.remote_part import RemotePart
from innkeeper.actors.cluster.rpc_server import RpcServer, ServedPorts
from innkeeper.actors.partition.load_meter import LoadMeter
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.subscriptions.service import S, Service, ServicePorts
from innkeeper.actors.subscriptions.service_router import ServiceRouter
from innkeeper.protocol.ports.inbox import BrokerConsumer
from innkeeper.protocol.ports.message_bus import CommitStream, MessageBus
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.ports.views import Views
from innkeeper.protocol.values.contexts import is_gateway


class ConsumedLogs(NamedTuple):
    """Logs of other processes as a broker delivers them: what its consumer has stored, and the commits of that."""

    logs: Mapping[str, EventLog]
    streams: Mapping[str, CommitStream]
    consumer: BrokerConsumer
    close: Callable[[], None]


OpenConsumer = Callable[[str, Mapping[str, EventLog]], ConsumedLogs]
"""Opens what a service of this name consumes of these logs."""


class Parts:
    """The ports of all parts: message buses by context, commit streams and event logs by the name of the log, read
    models by partition, and the services. `exits` stops and closes what was started here, last first."""

    def __init__(
        self,
        names: Collection[str],
        socket_of: Callable[[str], Path],
        clock: Callable[[], int],
        open_consumer: OpenConsumer | None,
        exits: AsyncExitStack,
    ) -> None:
        """`names` are the parts that run in this process; all of them where none is named. With `open_consumer`,
        services get the events of other processes from a broker."""
        self.names = names
        self.clock = clock
        self.exits = exits
        self.partitions: dict[str, Partition] = {}
        self.buses: dict[str, MessageBus] = {}
        self.streams: dict[str, CommitStream] = {}
        self.logs: dict[str, EventLog] = {}
        self.partition_views: dict[str, Views] = {}
        self.services = ServiceRouter()
        self._remote: dict[str, RemotePart] = {}
        self._remote_load = LoadMeter()
        self._socket_of = socket_of
        self._open_consumer = open_consumer

    def runs(self, part: str) -> bool:
        """Whether the part runs in this process."""
        return not self.names or part in self.names

    @property
    def has_gateway(self) -> bool:
        """Whether a gateway runs alone in this process; it needs all other parts."""
        return any(map(is_gateway, self.names))

    @property
    def views(self) -> PartitionedViews:
        """The read models of all partitions."""
        return PartitionedViews(self.partition_views)

    @property
    def local_logs(self) -> dict[str, EventLog]:
        """The logs that this process writes."""
        return {name: log for name, log in self.logs.items() if self.runs(name)}

    def add_log(self, name: str, stream: CommitStream, log: EventLog) -> None:
        """Adds a log and the stream of its commits."""
        self.streams[name], self.logs[name] = stream, log

    def service_ports(self, name: str, open_store: Callable[[str], AbstractContextManager[S]]) -> ServicePorts[S]:
        """The ports of a service that follows all logs so far."""
        logs, streams = dict(self.logs), dict(self.streams)
        consumer: BrokerConsumer | None = None
        remote = {log: read for log, read in logs.items() if not self.runs(log)}
        if self._open_consumer is not None and remote:
            consumed = self._open_consumer(name, remote)
            self.exits.callback(consumed.close)
            logs.update(consumed.logs)
            streams.update(consumed.streams)
            consumer = consumed.consumer
        return ServicePorts(logs, streams, partial(open_store, name), self.clock, self.is_under_load, consumer)

    def connect(self, part: str) -> RemotePart:
        """Adds a part of another process."""
        remote = self._remote[part] = RemotePart(part, self._socket_of(part))
        remote.client.subscribe(lambda _, records: self._remote_load.observe(len(records)))
        remote.start()
        self.exits.push_async_callback(remote.stop)
        if self.has_gateway:
            self.services.add(part, remote.client.ask_service, remote.client.ask_service_once)
        return remote

    async def start(self, service: Service[Any]) -> None:
        """Starts a service in this process."""
        await self.services.start(service)
        self.exits.push_async_callback(service.stop)

    async def serve(self) -> None:
        """Serves the ports of each part of this process, except gateways, to the other processes."""
        for part in self.names:
            if not is_gateway(part):
                bus = self.partitions.get(part) or self.buses.get(part)
                stream, log, views = self.streams.get(part), self.logs.get(part), self.partition_views.get(part)
                server = RpcServer(self._socket_of(part), ServedPorts(bus, stream, log, views, self.services))
                await server.open()
                self.exits.push_async_callback(server.close)

    async def connected(self, seconds: float | None = None) -> None:
        """Waits until the other parts answer, at most so long: requests to one that was not reached yet are refused."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for remote in self._remote.values():
                    await remote.client.connected()

    async def ended(self) -> None:
        """Waits until a partition or a service ends by itself; raises what ended it."""
        partitions = (asyncio.ensure_future(partition.ended()) for partition in self.partitions.values())
        ends = {*partitions, *self.services.ended()} or {asyncio.get_running_loop().create_future()}
        for done in (await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED))[0]:
            done.result()

    def is_under_load(self) -> bool:
        """Whether a partition that this process runs or asks had a large batch just now."""
        meters = (self._remote_load, *(partition.load for partition in self.partitions.values()))
        return any(meter.is_under_load() for meter in meters)
