"""Serves the gateway on a port."""

import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

from aiohttp import web
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.operator_error import EXIT_IN_USE, OperatorError


class CannotListen(OperatorError):
    """The gateway cannot listen on its address."""


class PortInUse(CannotListen):
    """Another process has the port."""

    exit_code = EXIT_IN_USE


@contextmanager
def free_port(host: str, port: int) -> Iterator[int]:
    """Reserves a free port (0: any) for several gateways of this installation. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as exclusive, socket.socket(family) as kept:
        with _listening(host, port):
            exclusive.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            exclusive.bind((host, port))
            number: int = exclusive.getsockname()[1]
            exclusive.close()
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections keep a port for a minute
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            kept.bind((host, number))  # bound, but never listens
        yield number


@contextmanager
def _listening(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} is in use; choose another with --port") from None
        raise CannotListen(f"cannot listen on {host}:{port}: {error}") from None


@contextmanager
def reserved(host: str, port: int, shared: bool = False) -> Iterator[list[socket.socket]]:
    """Binds a port (0: any) on the addresses of a host without listening, so that a port in use is detected before
    anything else is started; `shared` lets other processes listen on it too. Raises CannotListen."""
    with ExitStack() as resources:
        sockets = []
        with _listening(host, port):
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, kind, protocol, _, address in dict.fromkeys(addresses):
                sockets.append(bound := resources.enter_context(socket.socket(family, kind, protocol)))
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if shared:
                    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if family == socket.AF_INET6:
                    bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                bound.bind(address)
        yield sockets


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int, shared: bool = False) -> AsyncIterator[int]:
    """Serves the gateway on a port (0: any), which other processes may share."""
    with reserved(host, port, shared) as sockets:
        async with serving_on(app, sockets) as number:
            yield number


@asynccontextmanager
async def serving_on(app: web.Application, sockets: list[socket.socket]) -> AsyncIterator[int]:
    """Serves the gateway on a reserved port. At the end it accepts no more requests, and completes those under way."""
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=limits.header_seconds_max,
        shutdown_timeout=limits.shutdown_seconds_max / 2,  # it waits so long for handlers, and again for slow readers
    )
    await runner.setup()
    try:
        for bound in sockets:
            with _listening(*bound.getsockname()[:2]):
                await web.SockSite(runner, bound, backlog=1024).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
