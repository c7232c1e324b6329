"""Whatever answers at a broker's address, no event is at fault: the publisher stalls, and no hotel is parked."""

import asyncio
from typing import Any

import pytest
from innkeeper.delivery.brokers.rabbitmq_publisher import RabbitPublisher
from innkeeper.protocol.delivery.broker_names import BrokerNames
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.installation import Installation

ENTRY = (1, RecordedEvent("north", 1, 0, "", "", "", BookingPinned("b", "101")))
START = bytes.fromhex("01 0000 00000018 000a 000a 00 09 00000000 00000005 504c41494e 00000005 656e5f5553 ce")
ANSWERS = {
    "nothing": b"",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "an older version": b"AMQP\x00\x00\x08\x00",
    "half a frame": START[:9],
    "a frame of an unknown kind": b"\x63" + START[1:],
    "a frame with a wrong end": START[:-1] + b"\x00",
    "zeros": bytes(64),
    "the first frame alone": START,
}


async def assert_stalls(answer: bytes, resets: bool) -> None:
    """Publish to a server that gives this answer, and ends the connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer:  # otherwise it ends before it has heard anything
            await reader.read(8)
        writer.write(answer)
        await writer.drain()
        if resets:
            writer.transport.abort()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    names = BrokerNames(Installation("0" * 32, "innkeeper", "1" * 32, 1))
    publisher = RabbitPublisher(f"amqp://guest:guest@127.0.0.1:{port}/", names)
    with pytest.raises(Stalled, match=r"RabbitMQ at 127\.0\.0\.1 does not take events: ."):
        await publisher.handle([ENTRY])
    await publisher.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_publisher_stalls_whatever_answers(answer: bytes, resets: bool) -> None:
    asyncio.run(assert_stalls(answer, resets))


def test_a_publisher_stalls_where_a_connection_has_ended_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = asyncio.open_connection

    async def connect_slowly(*where: Any, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await connect(*where, **options)
        while not reader.at_eof():  # noqa: ASYNC110 (the server ends it)
            await asyncio.sleep(0.001)
        return reader, writer

    monkeypatch.setattr(asyncio, "open_connection", connect_slowly)
    asyncio.run(assert_stalls(b"", resets=False))
