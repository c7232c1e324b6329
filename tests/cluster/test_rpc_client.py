"""The RPC client, and a part that stops answering although its process runs."""

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic

import msgpack
import pytest
from innkeeper.actors.cluster import rpc_client as client_module
from innkeeper.actors.cluster.rpc_client import BlockingRpcClient, RpcClient
from innkeeper.actors.cluster.rpc_server import RpcServer, ServedPorts
from innkeeper.protocol.codec import frames
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.reservations.queries import DescribeHotel

TIMEOUT_SECONDS = 30
QUERY = Envelope(DescribeHotel("seaside"))


class UnresponsiveServer:
    """An RPC server that sends the position of its log, and then nothing while `answers` is false."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sends_position = True
        self.answers = False
        self._writers: list[asyncio.StreamWriter] = []
        self._connections: set[asyncio.Task[None] | None] = set()

    async def open(self) -> None:
        """Accept connections."""
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    def send(self, frame: bytes) -> None:
        """Send a frame to all clients."""
        for writer in self._writers:
            writer.write(frame)

    async def beat(self) -> None:
        """Send heartbeats."""
        while True:
            self.send(frames.pack(frames.COMMITS, 7, ()))
            await asyncio.sleep(0.1)

    async def close(self) -> None:
        """Stop, and wait until all clients have disconnected."""
        self._server.close()
        await asyncio.gather(*filter(None, self._connections))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(asyncio.current_task())
        self._writers.append(writer)
        if self.sends_position:
            writer.write(frames.pack(frames.COMMITS, 7, ()))
        decoder = frames.frame_decoder()
        with suppress(ConnectionError):  # the client may abort the connection
            while data := await reader.read(65_536):
                decoder.feed(data)
                for number, verb, *_ in decoder:
                    if self.answers and verb == frames.ASK:
                        body = frames.result_body(Result(Unavailable("closed for the season")))
                        writer.write(frames.pack(number, frames.DONE, body))
            writer.close()
            await writer.wait_closed()


async def check_silence(client: RpcClient, server: UnresponsiveServer) -> None:
    """Check that the client notices that there are no heartbeats, refuses the pending request, and then others at once
    until there is one."""
    await server.open()
    client.start()
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await client.connected()
            answer = await client.ask(QUERY)
            assert answer == Result(Unavailable("reservations does not answer", unknown=True))
            with pytest.raises(Refused) as refused:
                await client.positions()
            assert refused.value.refusal == Unavailable("reservations does not answer")
            assert await client.fault() == "reservations does not answer"
            assert client.age_seconds > 1
            server.answers = True
            server.send(frames.pack(frames.COMMITS, 9, ()))
            await client.connected()
            assert client.position == 9
            assert client.age_seconds < TIMEOUT_SECONDS
            assert await client.ask(QUERY) == Result(Unavailable("closed for the season"))
    finally:
        await client.stop()
        await server.close()


def test_requests_to_a_part_that_is_silent_are_refused_until_its_next_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "rpc_silence_seconds_max", 1)
    path = tmp_path / "socket"
    asyncio.run(check_silence(RpcClient("reservations", path), UnresponsiveServer(path)))


async def check_no_answer(client: RpcClient, server: UnresponsiveServer) -> None:
    """Check that the client closes a connection on which nothing is answered, although there are heartbeats."""
    await server.open()
    client.start()
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await client.connected()
            assert (client.ready, client.position) == (True, 7)
            beating = asyncio.create_task(server.beat())
            answer = await client.ask(QUERY)
            assert answer == Result(Unavailable("reservations ended before it answered", unknown=True))
            beating.cancel()
            server.answers = True
            await client.connected()
            assert await client.ask(QUERY) == Result(Unavailable("closed for the season"))
    finally:
        await client.stop()
        await server.close()


def test_a_part_that_answers_nothing_is_not_waited_for_although_it_has_heartbeats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "rpc_answer_seconds_max", 1)
    path = tmp_path / "socket"
    asyncio.run(check_no_answer(RpcClient("reservations", path), UnresponsiveServer(path)))


class SlowBus:
    """A message bus that answers after a moment."""

    ready, waiting = True, 0

    async def ask(self, _: Envelope) -> Result:
        await asyncio.sleep(0.3)
        return Result(Unavailable("closed for the season"))

    async def positions(self, hotel: str | None = None) -> Positions:
        return {}


def test_a_server_that_stops_answers_pending_requests_and_refuses_new_ones(tmp_path: Path) -> None:
    async def close() -> None:
        server = RpcServer(tmp_path / "socket", ServedPorts(SlowBus()))
        await server.open()
        client = RpcClient("reservations", tmp_path / "socket")
        client.start()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await client.connected()
            pending = asyncio.create_task(client.ask(QUERY))
            await asyncio.sleep(0.05)
            closing = asyncio.create_task(server.close())
            await asyncio.sleep(0.05)
            assert await client.ask(QUERY) == Result(Unavailable("the server is stopping"))
            assert not pending.done()
            assert await pending == Result(Unavailable("closed for the season"))
            await closing
        await client.stop()

    asyncio.run(close())


def test_a_blocking_client_waits_only_once_for_a_part_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "rpc_response_seconds_max", 1)

    async def read() -> None:
        server = UnresponsiveServer(tmp_path / "socket")
        server.answers = True
        await server.open()
        client = RpcClient("reservations", server.path)
        client.start()
        await client.connected()
        server.sends_position = False
        blocking_client = BlockingRpcClient(client)
        ask = partial(asyncio.to_thread, blocking_client.ask, frames.ASK)
        await asyncio.gather(*(ask() for _ in range(5)))
        server.answers = False
        start = monotonic()
        with pytest.raises(Refused):
            await ask()
        assert monotonic() - start < 4
        blocking_client.close()
        await client.stop()
        await server.close()

    asyncio.run(read())


def test_an_event_of_an_unknown_type_does_not_end_the_connection(tmp_path: Path) -> None:
    commits: list[tuple[int, int]] = []
    unknown = msgpack.packb(["seaside", 8, 0, "", "", "", "innkeeper.booking.teleported.v1", msgpack.packb({}), ""])

    async def listen() -> None:
        server = UnresponsiveServer(tmp_path / "socket")
        await server.open()
        client = RpcClient("reservations", server.path)
        client.subscribe(lambda position, records: commits.append((position, len(list(records)))))
        client.start()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await client.connected()
            server.send(frames.pack(frames.COMMITS, 8, [unknown]))
            while commits[-1] != (8, 0):  # noqa: ASYNC110 (another task fulfils it)
                await asyncio.sleep(0.01)
        assert (client.ready, client.position) == (True, 8)
        await client.stop()
        await server.close()

    asyncio.run(listen())
    assert commits == [(7, 0), (8, 0)]
