"""A part in another process: its ports, as clients."""

from pathlib import Path

from innkeeper.actors.cluster.rpc_client import RemoteEventLog, RemoteViews, RpcClient


class RemotePart:
    """The message bus, services and commits of a part (`client`), its event log and its read models."""

    def __init__(self, name: str, socket: Path) -> None:
        self.client = RpcClient(name, socket)
        self.log = RemoteEventLog(self.client)
        self.views = RemoteViews(self.client)

    def start(self) -> None:
        """Connects, and reconnects when the connection is lost."""
        self.client.start()

    async def stop(self) -> None:
        """Closes all connections."""
        self.log.close()
        self.views.close()
        await self.client.stop()
