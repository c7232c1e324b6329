"""The gateway on a port."""

import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web
from innkeeper.protocol import limits


class CannotListen(Exception):
    """Why there is no gateway; `in_use` if the port is somebody else's."""

    def __init__(self, message: str, in_use: bool) -> None:
        super().__init__(message)
        self.in_use = in_use


@contextmanager
def free_port(host: str, port: int) -> Iterator[int]:
    """A port (0: any) that nobody else has, kept for several gateways of ours. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as alone, socket.socket(family) as kept:
        with _listening(host, port):
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind((host, port))
            number: int = alone.getsockname()[1]
            alone.close()
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            kept.bind((host, number))  # and never listens
        yield number


@contextmanager
def _listening(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"port {port} is in use; choose another with --port", True) from None
        raise CannotListen(f"cannot listen on {host}:{port}: {error}", False) from None


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int, shared: bool = False) -> AsyncIterator[int]:
    """The gateway on a port (0: any), which others may share; at the end it takes no more, and finishes what it
    took."""
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=limits.header_seconds_max,
        shutdown_timeout=limits.shutdown_seconds_max,
    )
    await runner.setup()
    try:
        with _listening(host, port):
            await web.TCPSite(runner, host, port, backlog=1024, reuse_port=shared).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
