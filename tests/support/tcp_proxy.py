"""A TCP proxy before a server, which can disconnect its clients, or silently drop their data."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class TcpProxy:
    """Forwards the connections to a port of this machine to another port."""

    def __init__(self, host: str, port: int, own_port: int = 0) -> None:
        """To this server; on `own_port`, or on a free port."""
        self._address = (host, port)
        self._own_port = own_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._accepting = True
        self._dropping: set[asyncio.StreamWriter] = set()
        self.connections = 0
        self.port = 0

    def disconnect(self) -> None:
        """End all connections, and refuse new ones until `accept_connections`."""
        self._call(self._disconnect)

    def drop_data(self) -> None:
        """Drop the data of the existing connections, which stay open; new ones are not affected."""
        self._call(lambda: self._dropping.update(self._writers))

    def accept_connections(self) -> None:
        """Accept new connections again."""
        self._accepting = True

    def _call(self, work: object) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (work(), done.set()))  # type: ignore[operator]
        done.wait()

    def _disconnect(self) -> None:
        self._accepting = False
        for writer in self._writers:
            writer.transport.abort()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self._own_port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _forward(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if not self._accepting:
            client.transport.abort()
            return
        self.connections += 1
        server_reader, server = await asyncio.open_connection(*self._address)
        self._writers |= {client, server}
        both = [asyncio.create_task(self._pump(reader, server)), asyncio.create_task(self._pump(server_reader, client))]
        self._pumps.update(both)
        await asyncio.wait(both)
        self._pumps.difference_update(both)
        self._writers -= {client, server}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65_536):
                if writer not in self._dropping:
                    writer.write(chunk)
                    await writer.drain()
        writer.transport.abort()

    async def _stop(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        if self._pumps:
            await asyncio.wait(self._pumps)

    def start(self) -> None:
        """Start to forward."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    def stop(self) -> None:
        """Stop, and close all connections."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def tcp_proxy(host: str, port: int, own_port: int = 0) -> Iterator[TcpProxy]:
    """A proxy before this server."""
    proxy = TcpProxy(host, port, own_port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
