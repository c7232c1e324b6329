"""A cable to a server: everything goes through it, until it is cut, or carries nothing more and says nothing of it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class TcpProxy:
    """A port of this machine that leads to another one."""

    def __init__(self, host: str, port: int, own_port: int = 0) -> None:
        """To a server; on a port of its own that is free, or on this one."""
        self._far = (host, port)
        self._own_port = own_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cable", daemon=True)
        self._ends: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._plugged = True
        self._silent: set[asyncio.StreamWriter] = set()
        self.connections = 0
        self.port = 0

    def disconnect(self) -> None:
        """Every connection ends, and none is made until it is mended."""
        self._call(self._cut)

    def drop_data(self) -> None:
        """What is connected now stays so, and nothing comes through any more; new connections are fine."""
        self._call(lambda: self._silent.update(self._ends))

    def accept_connections(self) -> None:
        """New connections work."""
        self._plugged = True

    def _call(self, work: object) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (work(), done.set()))  # type: ignore[operator]
        done.wait()

    def _cut(self) -> None:
        self._plugged = False
        for end in self._ends:
            end.transport.abort()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._own_port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _carry(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        if not self._plugged:
            near.transport.abort()
            return
        self.connections += 1
        far_reader, far = await asyncio.open_connection(*self._far)
        self._ends |= {near, far}
        both = [asyncio.create_task(self._pump(reader, far)), asyncio.create_task(self._pump(far_reader, near))]
        self._pumps.update(both)
        await asyncio.wait(both)
        self._pumps.difference_update(both)
        self._ends -= {near, far}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while some := await reader.read(65_536):
                if writer not in self._silent:
                    writer.write(some)
                    await writer.drain()
        writer.transport.abort()

    async def _stop(self) -> None:
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        if self._pumps:
            await asyncio.wait(self._pumps)

    def start(self) -> None:
        """Lay it."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    def stop(self) -> None:
        """Take it away."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def tcp_proxy(host: str, port: int, own_port: int = 0) -> Iterator[TcpProxy]:
    """A cable to this server."""
    laid = TcpProxy(host, port, own_port)
    laid.start()
    try:
        yield laid
    finally:
        laid.stop()
