"""The parts of an installation as one process sees them: those that run in it, and clients of the others."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

from innkeeper.actors.cluster.partition_router import PartitionedViews
from innkeeper.actors.cluster.remote_part import RemotePart
from innkeeper.actors.cluster.rpc_server import RpcServer, ServedPorts
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.subscriptions.commit_signal import CommitSignal
from innkeeper.actors.subscriptions.load_meter import LoadMeter, load_commands_min
from innkeeper.actors.subscriptions.recent_events import following
from innkeeper.actors.subscriptions.service import S, Service, ServicePorts
from innkeeper.actors.subscriptions.service_router import ServiceRouter
from innkeeper.protocol.ports.inbox import BrokerConsumer, Inbox
from innkeeper.protocol.ports.message_bus import CommitStream, MessageBus
from innkeeper.protocol.ports.subscriptions import EventLog, RecentLog
from innkeeper.protocol.ports.views import Views
from innkeeper.protocol.values.contexts import is_gateway
from innkeeper.protocol.values.installation import Installation

OpenInbox = Callable[[str, Mapping[str, EventLog]], tuple[Inbox, BrokerConsumer]]
"""Opens the inbox of the service of this name for these logs, and the broker's consumer that fills it."""


class Parts:
    """The ports of all parts: message buses by context, commit streams and event logs by the name of the log, read
    models by partition, and the services. `commits` wakes the tasks that follow the logs. `load` observes the
    partitions that this process runs or asks. `exits` stops and closes what was started here, last first."""

    def __init__(
        self,
        names: Collection[str],
        installation: Installation,
        socket_of: Callable[[str], Path],
        clock: Callable[[], int],
        open_inbox: OpenInbox | None,
        exits: AsyncExitStack,
    ) -> None:
        """`names` are the parts that run in this process; all of them where none is named. With `open_inbox`,
        services get the events of other processes from a broker."""
        self.names = names
        self.installation = installation
        self.clock = clock
        self.exits = exits
        self.partitions: dict[str, Partition] = {}
        self.buses: dict[str, MessageBus] = {}
        self.streams: dict[str, CommitStream] = {}
        self.commits = CommitSignal()
        self.logs: dict[str, RecentLog] = {}
        self.partition_views: dict[str, Views] = {}
        self.services = ServiceRouter()
        self._remote: dict[str, RemotePart] = {}
        self.load = LoadMeter()
        self._socket_of = socket_of
        self._open_inbox = open_inbox

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
        """Adds a log and the stream of its commits; its newest events are read from memory."""
        self.streams[name], self.logs[name] = stream, following(stream, log)
        stream.subscribe(self.commits.on_commit)

    def service_ports(self, name: str, open_store: Callable[[str], AbstractContextManager[S]]) -> ServicePorts[S]:
        """The ports of a service that follows all logs so far."""
        logs: dict[str, EventLog] = {**self.logs}
        inbox: Inbox | None = None
        consumer: BrokerConsumer | None = None
        remote = {log: read for log, read in logs.items() if not self.runs(log)}
        if self._open_inbox is not None and remote:
            inbox, consumer = self._open_inbox(name, remote)
            self.exits.callback(inbox.close)
            logs.update((log, following(received, received)) for log, received in inbox.logs.items())
            for received in inbox.logs.values():
                received.subscribe(self.commits.on_commit_elsewhere)
        store = partial(open_store, name)
        local = frozenset(log for log in logs if self.runs(log))
        ends = {log: self._remote[log].client for log in remote}
        return ServicePorts(logs, self.commits, store, self.clock, self.load, consumer, inbox, local, ends)

    def silent(self) -> list[str]:
        """The names of the parts of other processes that do not run or do not answer now."""
        return [name for name, remote in self._remote.items() if not remote.client.ready]

    def connect(self, part: str) -> RemotePart:
        """Adds a part of another process."""
        remote = self._remote[part] = RemotePart(part, self._socket_of(part))
        remote.client.subscribe(lambda _, records: self.load.observe() if len(records) >= load_commands_min else None)
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
        for end in ends:  # what fails while all parts stop has been logged, and nobody waits for it any more
            end.add_done_callback(lambda done: done.cancelled() or done.exception())
        for done in (await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED))[0]:
            done.result()
