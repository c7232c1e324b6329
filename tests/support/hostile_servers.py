"""Webhook servers on this machine, most of which violate HTTP or the limits of the client."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from innkeeper.delivery.webhooks.client import PostOutcome, WebhookClient
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
    """A server on a port of this machine, and what it has seen."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.received = b""
        self.bytes_sent = 0
        self.responded = asyncio.Event()
        self.disconnected = asyncio.Event()

    def url(self, scheme: str = "http", host: str = "127.0.0.1") -> str:
        """Its URL."""
        return f"{scheme}://{host}:{self.port}/hook"


@asynccontextmanager
async def hostile_server(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[HostileServer]:
    """A server with this behaviour on each connection."""
    server = HostileServer()
    connections: set[asyncio.Task[None]] = set()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await behaviour(server, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            server.disconnected.set()
            writer.close()

    listener = await asyncio.start_server(on_connection, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def read_request(server: HostileServer, reader: asyncio.StreamReader) -> None:
    """Read one whole request."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    server.received += head + await reader.readexactly(size)


def respond(*parts: bytes, then: str = "close") -> Behaviour:
    """Reads the request, sends these bytes, and then closes, resets or stays silent."""

    async def behaviour(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(server, reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        server.responded.set()
        if then == "reset":
            peer = writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif then == "silence":
            await reader.read()

    return behaviour


def repeat(start: bytes, repeated: bytes, pause: float = 0) -> Behaviour:
    """Sends `start`, and then `repeated` again and again until the client disconnects."""

    async def behaviour(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(server, reader)
        writer.write(start)
        while True:
            writer.write(repeated)
            await writer.drain()
            server.bytes_sent += len(repeated)
            await asyncio.sleep(pause)

    return behaviour


def http_response(status: int, *headers: str, body: bytes = b"") -> bytes:
    """A valid HTTP response."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def never_respond(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts the connection, and never responds."""
    await reader.read()


async def post(client: WebhookClient, url: str, body: bytes = BODY) -> PostOutcome:
    """Post one message now."""
    return await client.post(url, SECRETS, MESSAGE, int(time.time()), body)


async def post_to(behaviour: Behaviour) -> tuple[PostOutcome, HostileServer]:
    """The outcome of a post to a server with this behaviour. The client can still post to a normal server."""
    async with WebhookClient(to_loopback=True) as client:
        async with hostile_server(behaviour) as server:
            outcome = await post(client, server.url())
        async with hostile_server(respond(http_response(204))) as normal:
            assert (await post(client, normal.url())).delivered
    return outcome, server
