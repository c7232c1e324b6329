"""The gateway on a port."""

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from innkeeper.protocol import limits


class CannotListen(Exception):
    """Why there is no gateway; `in_use` if the port is somebody else's."""

    def __init__(self, message: str, in_use: bool) -> None:
        super().__init__(message)
        self.in_use = in_use


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """The gateway on a port (0: any); at the end it takes no more, and finishes what it took."""
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=limits.header_seconds_max,
        shutdown_timeout=limits.shutdown_seconds_max,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, backlog=1024).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotListen(f"port {port} is in use; choose another with --port", True) from None
            raise CannotListen(f"cannot listen on {host}:{port}: {error}", False) from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
