"""Strangers on this machine who take webhooks, each with manners of their own; most of them bad."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from innkeeper.delivery.webhooks.client import Outcome, WebhookClient
from innkeeper.delivery.webhooks.signing import fresh_secret

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [asyncio.new_event_loop]
try:
    import uvloop
except ImportError:
    pass
else:
    LOOPS.append(uvloop.new_event_loop)

SECRETS = (fresh_secret(), fresh_secret())
BODY = '{"specversion":"1.0","id":"1","data":{"guest":"Ana Sousa, Évora"}}'.encode()
MESSAGE = "01a2089e-623e-7e51-807d-23e452ec2280"

Run = Callable[[Coroutine[Any, Any, None]], None]
Behaviour = Callable[["HostileServer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class HostileServer:
    """Someone who was asked to take webhooks, on a port of this machine."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.received = b""
        self.bytes_sent = 0
        self.responded = asyncio.Event()
        self.disconnected = asyncio.Event()

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        """Where it can be found."""
        return f"{scheme}://{host}:{self.port}/hook"


@asynccontextmanager
async def hostile_server(manners: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[HostileServer]:
    """A server that does nothing but what its manners are, byte by byte."""
    known = HostileServer()
    visits: set[asyncio.Task[None]] = set()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        known.connections += 1
        task = asyncio.current_task()
        assert task is not None
        visits.add(task)
        try:
            await manners(known, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            known.disconnected.set()
            writer.close()

    server = await asyncio.start_server(visit, "127.0.0.1", 0, ssl=tls)
    known.port = server.sockets[0].getsockname()[1]
    try:
        yield known
    finally:
        server.close()
        for task in visits:
            task.cancel()
        await asyncio.gather(*visits, return_exceptions=True)


async def read_request(known: HostileServer, reader: asyncio.StreamReader) -> None:
    """Read one whole request."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    known.received += head + await reader.readexactly(size)


def respond(*parts: bytes, then: str = "close") -> Behaviour:
    """Hears the request, says this, and then closes, resets or stays silent."""

    async def manners(known: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(known, reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        known.responded.set()
        if then == "reset":
            peer = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif then == "silence":
            await reader.read()

    return manners


def repeat(start: bytes, again: bytes, pause: float = 0) -> Behaviour:
    """Says a start, and then the same again and again until nobody listens."""

    async def manners(known: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(known, reader)
        writer.write(start)
        while True:
            writer.write(again)
            await writer.drain()
            known.bytes_sent += len(again)
            await asyncio.sleep(pause)

    return manners


def http_response(status: int, *headers: str, body: bytes = b"") -> bytes:
    """A proper answer."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def never_respond(known: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the connection, and does nothing more."""
    await reader.read()


async def post(poster: WebhookClient, url: str, body: bytes = BODY) -> Outcome:
    """Post one message now."""
    return await poster.post(url, SECRETS, MESSAGE, int(time.time()), body)


async def post_to(manners: Behaviour) -> tuple[Outcome, HostileServer]:
    """What comes of posting to someone with such manners; afterwards the poster still serves everyone else."""
    async with WebhookClient(to_loopback=True) as poster:
        async with hostile_server(manners) as known:
            outcome = await post(poster, known.url())
        async with hostile_server(respond(http_response(204))) as polite:
            assert (await post(poster, polite.url())).delivered
    return outcome, known
