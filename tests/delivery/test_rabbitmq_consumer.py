"""Services that are fed by a real broker: each event once in their effects, whatever the broker does to it."""

import asyncio
import json
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.delivery.brokers.rabbitmq import RabbitConsumer, RabbitPublisher, _close
from innkeeper.protocol.codec.cloud_event import cloud_event_json, entry_of
from innkeeper.protocol.codec.wire import ALL_EVENTS
from innkeeper.protocol.delivery.broker_names import DEAD_LETTER_EXCHANGE, EXCHANGE, REASON_HEADER
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.values import limits
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.consumer_checks import (
    BACK_SECONDS_MAX,
    FAILURES,
    Failing,
    Origin,
    Stumbling,
    after,
    books,
    entry,
    everything_is_there,
    fed,
    split,
    survives,
)
from support.messages import messages
from support.rabbitmq_queues import QUEUES, sweep
from support.tcp_proxy import TcpProxy, tcp_proxy
from support.waiting import wait_until

everybody = st.sampled_from(ALL_EVENTS).flatmap(messages)


@given(everybody, st.integers(1, 2**40), st.integers(0, 2**50))
def test_what_went_out_to_a_broker_comes_in_as_it_was(event: Any, position: int, at: int) -> None:
    entry = position, RecordedEvent("kestrel-inn", 3, at, "ann", "request-1", "command-1", event)
    assert entry_of(cloud_event_json(entry)) == entry


@pytest.mark.parametrize("field", ["id", "source", "type", "time", "sequence", "position", "data"])
def test_what_is_no_event_of_ours_is_refused(field: str) -> None:
    told = json.loads(cloud_event_json(entry(1)))
    for wrong in (None, -1, "", "nonsense", {}):
        with pytest.raises(ValueError, match=r"."):
            entry_of(json.dumps({**told, field: wrong}).encode())
    with pytest.raises(ValueError, match="JSON"):
        entry_of(b"\xff not JSON")


def test_what_no_log_can_hold_is_no_event_of_ours() -> None:
    told = json.loads(cloud_event_json(entry(1)))
    with pytest.raises(ValueError, match="not an event of Innkeeper"):
        entry_of(json.dumps({**told, "position": 2**63}).encode())
    with pytest.raises(ValueError, match="not an event of Innkeeper"):
        entry_of(json.dumps({**told, "sequence": str(2**63), "id": f"hotel-1:{2**63}"}).encode())
    with pytest.raises(ValueError, match="not an event of Innkeeper"):
        entry_of(json.dumps({**told, "sequence": "0", "id": "hotel-1:0"}).encode())
    with pytest.raises(ValueError, match="no offset"):
        entry_of(json.dumps({**told, "time": "2026-06-01T12:00:00"}).encode())


def test_a_feed_goes_on_when_what_is_missing_cannot_be_fetched(clean: str, caplog: pytest.LogCaptureFixture) -> None:
    inbox = Stumbling(times=3)
    fed(RabbitConsumer(clean, "billing", inbox, lambda _: "billing"), lambda: inbox.looks >= 6)
    assert caplog.text.count("cannot fetch missing events") == 1
    assert caplog.text.count("fetches missing events again") == 1
    assert "receives no events" not in caplog.text


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("disconnects", [True, False])
def test_a_feed_outlives_whatever_fails(
    clean: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    error: BaseException, disconnects: bool,
) -> None:  # fmt: skip
    async def publish() -> None:
        broker = RabbitPublisher(clean)
        await broker.handle([entry(one) for one in range(1, 31)])
        await broker.close()

    def published() -> None:
        fed(RabbitConsumer(clean, "billing", Stumbling(0), str), lambda: is_consumed(clean))
        asyncio.run(publish())
        if not disconnects:
            monkeypatch.setattr(
                "innkeeper.delivery.brokers.rabbitmq._close", after(_close, RuntimeError("while closing"))
            )

    inbox = Failing(tmp_path / "inbox.db", error)
    survives(
        lambda inbox: RabbitConsumer(clean, "billing", inbox, lambda _: "billing"),
        inbox,
        published,
        lambda: caplog.text,
    )


def is_consumed(url: str) -> bool:
    """Whether somebody consumes billing's queue, which is bound by then."""

    async def look() -> bool:
        async with await aio_pika.connect(url) as connection:
            try:
                queue = await (await connection.channel()).get_queue("innkeeper.billing")
            except aio_pika.exceptions.ChannelNotFoundEntity:
                return False
            return bool(queue.declaration_result.consumer_count)

    return asyncio.run(look())


def test_a_broker_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(BACK_SECONDS_MAX)
        feed = RabbitConsumer(f"amqp://guest:guest@127.0.0.1:{mute.getsockname()[1]}/", "billing", Stumbling(), str)
        visits: list[socket.socket] = []

        def visited_twice() -> bool:
            visits.append(mute.accept()[0])
            return len(visits) >= 2

        fed(feed, visited_twice)
        for visit in visits:
            visit.close()


@given(st.lists(st.lists(st.integers(1, 12), max_size=5), max_size=12), st.sets(st.integers(0, 11)))
def test_an_inbox_shows_what_its_log_says_in_order_and_once(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], restarts: set[int]
) -> None:
    path = tmp_path_factory.mktemp("inbox") / "inbox.db"
    origin = Origin(12)
    inbox, told = SqliteInbox(path, {"billing": origin}), list[int]()
    came: set[int] = set()
    for number, batch in enumerate(batches):
        if number in restarts:
            inbox.close()
            inbox = SqliteInbox(path, {"billing": origin})
        log = inbox.logs["billing"]
        told.append(log.position)
        inbox.handle([("billing", entry(one)) for one in batch] + [("other", entry(99))], {"topic:0": number})
        came |= set(batch)
        end = next(one for one in range(14) if one + 1 not in came)
        assert log.position == end
        assert log.read(0, 100) == [entry(one) for one in range(1, end + 1)]
        assert log.read(0, 100, "hotel-1", 1) == [e for e in log.read(0, 100) if e[1].hotel == "hotel-1"][1:]
        assert inbox.offset("topic:0") == number
    origin.reached = False
    inbox.fetch_missing()
    origin.reached = True
    inbox.fetch_missing()
    assert inbox.logs["billing"].read(0, 100) == [entry(one) for one in range(1, 13)]
    inbox.close()


def test_who_hears_an_inbox_is_told_what_became_readable(tmp_path: Path) -> None:
    inbox, told = SqliteInbox(tmp_path / "inbox.db", {"billing": Origin(9)}), list[Any]()
    inbox.logs["billing"].subscribe(
        lambda position, records: told.append((position, [one.hotel_seq for one in records]))
    )
    for batch in ([2], [1], [3, 4], [4]):
        inbox.handle([("billing", entry(one)) for one in batch], {})
    assert told == [(2, [1, 1]), (4, [1, 2])]
    inbox.close()


@pytest.fixture
def clean(rabbitmq: str) -> Iterator[str]:
    """A RabbitMQ that has never heard of us: in a virtual host of its own, where that can be made, or swept."""
    asyncio.run(sweep(rabbitmq))
    yield rabbitmq
    asyncio.run(sweep(rabbitmq))


def test_services_hear_through_rabbitmq(clean: str, tmp_path: Path) -> None:
    with split(tmp_path, clean) as front:
        hotel = front.open({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        everything_is_there(front, tmp_path, hotel, books(front, hotel, range(20)))


@pytest.mark.parametrize("fault", [TcpProxy.cut, TcpProxy.go_silent])
def test_a_broken_connection_leaves_every_effect_once(
    clean: str, tmp_path: Path, fault: Callable[[TcpProxy], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = urlsplit(clean)
    with tcp_proxy(str(parts.hostname), parts.port or 5672) as laid:
        broker = f"amqp://{parts.username}:{parts.password}@127.0.0.1:{laid.port}{parts.path}?heartbeat=1"
        with split(tmp_path, broker) as front:
            hotel = front.open({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
            booked = books(front, hotel, range(10))
            fault(laid)
            booked += books(front, hotel, range(10, 20))
            laid.mend()
            booked += books(front, hotel, range(20, 25))
            everything_is_there(front, tmp_path, hotel, booked)


def test_a_service_that_ended_between_effect_and_acknowledgement_does_nothing_twice(
    clean: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = aio_pika.exceptions.ChannelInvalidStateError("as when the process ends just here")
    with split(tmp_path, clean) as front:
        hotel = front.open({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        with monkeypatch.context() as patched:

            async def ends(*_: Any, **__: Any) -> None:
                raise lost

            patched.setattr(aio_pika.IncomingMessage, "ack", ends)
            booked = books(front, hotel, range(5))
            front.everything()
        booked += books(front, hotel, range(5, 10))
        everything_is_there(front, tmp_path, hotel, booked)


def test_parts_come_and_go_in_turn(clean: str, tmp_path: Path) -> None:
    with split(tmp_path, clean) as front:
        hotel = front.open({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        booked = books(front, hotel, range(3))
        for number, part in enumerate(QUEUES, start=1):
            front.end_part(part)
            booked += books(front, hotel, range(3 * number, 3 * number + 3))
            front.start_part(part)
        front.end_part("reservations")
        assert front.post(f"{hotel}/bookings", {}).status in (422, 503)
        front.start_part("reservations")
        wait_until(lambda: front.get(hotel).status == 200, BACK_SECONDS_MAX)
        booked += books(front, hotel, range(20, 23))
        everything_is_there(front, tmp_path, hotel, booked)


def test_what_is_no_event_goes_to_the_dead_letters_and_can_be_sent_again(clean: str, tmp_path: Path) -> None:
    async def throw_in(body: bytes) -> None:
        async with await aio_pika.connect(clean) as connection:
            channel = await connection.channel()
            exchange = await channel.get_exchange(EXCHANGE)
            await exchange.publish(aio_pika.Message(body, message_id="poison"), "x.y")

    async def dead_letters(send_again: bool = False) -> list[Any]:
        async with await aio_pika.connect(clean) as connection:
            channel = await connection.channel()
            queue = await channel.get_queue("innkeeper.billing.dead")
            found = []
            while message := await queue.get(fail=False):
                found.append((message.message_id, message.body, message.headers[REASON_HEADER]))
                if send_again:
                    again = aio_pika.Message(message.body, message_id=message.message_id)
                    await channel.default_exchange.publish(again, "innkeeper.billing")
                await message.ack()
            return found

    with split(tmp_path, clean) as front:
        hotel = front.open({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        asyncio.run(throw_in(b"not an event"))
        everything_is_there(front, tmp_path, hotel, books(front, hotel, range(3)))
        found: list[Any] = []
        wait_until(lambda: bool(found.extend(asyncio.run(dead_letters(send_again=True))) or found), BACK_SECONDS_MAX)
        assert found[0][:2] == ("poison", b"not an event")
        assert "JSON" in found[0][2]
        again: list[Any] = []
        wait_until(lambda: bool(again.extend(asyncio.run(dead_letters())) or again), BACK_SECONDS_MAX)
        assert again[0][:2] == found[0][:2]
    assert DEAD_LETTER_EXCHANGE == "innkeeper.dead"
