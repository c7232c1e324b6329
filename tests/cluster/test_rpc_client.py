"""A line to a part that stopped answering, without having died."""

import asyncio
from functools import partial
from pathlib import Path
from time import monotonic

import msgpack
import pytest
from innkeeper.actors.cluster import rpc_client as line_module
from innkeeper.actors.cluster.rpc_client import BlockingRpcClient, RpcClient
from innkeeper.actors.cluster.rpc_server import RpcServer, ServedPorts
from innkeeper.protocol.codec import frames
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.ports.message_bus import Envelope, Result
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.reservations.queries import DescribeHotel

PATIENCE_SECONDS = 30
QUESTION = Envelope(DescribeHotel("seaside"))


class Mute:
    """Somebody who opens the door, says how far the log had come, and then nothing, until told to speak."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.greets = True
        self.answers = False
        self._writers: list[asyncio.StreamWriter] = []
        self._visits: set[asyncio.Task[None] | None] = set()

    async def open(self) -> None:
        """From now on."""
        self._server = await asyncio.start_unix_server(self._visited, self.path)

    def tell(self, frame: bytes) -> None:
        """To everybody."""
        for writer in self._writers:
            writer.write(frame)

    async def close(self) -> None:
        """No more, once everybody has gone."""
        self._server.close()
        await asyncio.gather(*filter(None, self._visits))

    async def _visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._visits.add(asyncio.current_task())
        self._writers.append(writer)
        if self.greets:
            writer.write(frames.pack(frames.COMMITS, 7, ()))
        heard = frames.frame_decoder()
        while data := await reader.read(65_536):
            heard.feed(data)
            for number, verb, *_ in heard:
                if self.answers and verb == frames.ASK:
                    body = frames.result_body(Result(Unavailable("closed for the season")))
                    writer.write(frames.pack(number, frames.DONE, body))
        writer.close()
        await writer.wait_closed()


async def seen(line: RpcClient, mute: Mute) -> None:
    """The hang is noticed, whoever waited is told, and who asks while it lasts is refused at once."""
    await mute.open()
    line.start()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await line.connected()
            assert (line.ready, line.position) == (True, 7)
            mute.greets = False
            waited = await line.ask(QUESTION)
            assert waited == Result(Unavailable("reservations ended before it answered", unknown=True))
            with pytest.raises(Refused) as refused:
                await line.positions()
            assert refused.value.refusal == Unavailable("reservations is not running")
            assert not line.ready
            mute.greets = mute.answers = True
            await line.connected()
            assert await line.ask(QUESTION) == Result(Unavailable("closed for the season"))
    finally:
        await line.stop()
        await mute.close()


def test_whoever_waits_for_a_part_that_hangs_is_told_and_it_is_asked_again_once_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_module, "rpc_silence_seconds_max", 1)
    path = tmp_path / "door"
    asyncio.run(seen(RpcClient("reservations", path), Mute(path)))


class SlowDesk:
    """Takes its time."""

    ready, waiting = True, 0

    async def ask(self, _: Envelope) -> Result:
        await asyncio.sleep(0.3)
        return Result(Unavailable("closed for the season"))

    async def positions(self, hotel: str | None = None) -> Positions:
        return {}


def test_a_door_that_is_closed_answers_whoever_asked_before_and_nobody_else(tmp_path: Path) -> None:
    async def close() -> None:
        door = RpcServer(tmp_path / "door", ServedPorts(SlowDesk()))
        await door.open()
        line = RpcClient("reservations", tmp_path / "door")
        line.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await line.connected()
            asked = asyncio.create_task(line.ask(QUESTION))
            await asyncio.sleep(0.05)
            closed = asyncio.create_task(door.close())
            await asyncio.sleep(0.05)
            assert await line.ask(QUESTION) == Result(Unavailable("the server is stopping"))
            assert not asked.done()
            assert await asked == Result(Unavailable("closed for the season"))
            await closed
        await line.stop()

    asyncio.run(close())


def test_a_reader_waits_once_for_a_part_that_hangs_however_many_connections_it_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_module, "rpc_response_seconds_max", 1)

    async def read() -> None:
        mute = Mute(tmp_path / "door")
        mute.greets, mute.answers = False, True
        await mute.open()
        reading = BlockingRpcClient(RpcClient("reservations", mute.path))
        ask = partial(asyncio.to_thread, reading.ask, frames.ASK)
        await asyncio.gather(*(ask() for _ in range(5)))
        mute.answers = False
        start = monotonic()
        with pytest.raises(Refused):
            await ask()
        assert monotonic() - start < 4
        reading.close()
        await mute.close()

    asyncio.run(read())


def test_an_event_from_the_future_does_not_end_the_line(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    unknown = msgpack.packb(["seaside", 8, 0, "", "", "", "innkeeper.booking.teleported.v1", msgpack.packb({})])

    async def listen() -> None:
        mute = Mute(tmp_path / "door")
        await mute.open()
        line = RpcClient("reservations", mute.path)
        line.subscribe(lambda position, records: told.append((position, len(list(records)))))
        line.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await line.connected()
            mute.tell(frames.pack(frames.COMMITS, 8, [unknown]))
            while told[-1] != (8, 0):  # noqa: ASYNC110 (it comes from another task)
                await asyncio.sleep(0.01)
        assert (line.ready, line.position) == (True, 8)
        await line.stop()
        await mute.close()

    asyncio.run(listen())
    assert told == [(7, 0), (8, 0)]
