"""Services consume events from a real RabbitMQ: each event takes effect once, also when connections or parts fail."""

import asyncio
import json
import socket
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aio_pika
import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.delivery.brokers import rabbitmq_connection
from innkeeper.delivery.brokers.rabbitmq_consumer import RabbitConsumer
from innkeeper.delivery.brokers.rabbitmq_publisher import RabbitPublisher
from innkeeper.protocol.codec.cloud_event import cloud_event_json, entry_of
from innkeeper.protocol.codec.wire import ALL_EVENTS
from innkeeper.protocol.delivery.broker_names import REASON_HEADER
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.values import limits
from support.consumer_checks import (
    FAILURES,
    RECOVERY_SECONDS_MAX,
    FailingInbox,
    InboxWithFailingFetch,
    assert_all_delivered,
    book_each,
    check_recovery,
    failing_after,
    log_entry,
    run_consumer,
    split_gateway,
)
from support.installations import NAMES, names_in
from support.messages import messages
from support.rabbitmq_queues import QUEUES, delete_queues
from support.tcp_proxy import TcpProxy, tcp_proxy
from support.waiting import wait_until
from support.webhook_receiver import webhook_receiver

any_event = st.sampled_from(ALL_EVENTS).flatmap(messages)


@given(any_event, st.integers(1, 2**40), st.integers(0, 2**50))
def test_an_event_is_unchanged_by_encoding_and_decoding(event: Any, position: int, at: int) -> None:
    entry = position, RecordedEvent("kestrel-inn", 3, at, "ann", "request-1", "command-1", event)
    assert entry_of(cloud_event_json(entry)) == entry


@pytest.mark.parametrize("field", ["id", "source", "type", "time", "sequence", "position", "data"])
def test_a_message_that_is_not_an_event_is_refused(field: str) -> None:
    document = json.loads(cloud_event_json(log_entry(1)))
    for wrong in (None, -1, "", "nonsense", {}):
        with pytest.raises(ValueError, match=r"."):
            entry_of(json.dumps({**document, field: wrong}).encode())
    with pytest.raises(ValueError, match="JSON"):
        entry_of(b"\xff not JSON")


def test_an_event_with_a_number_out_of_range_or_a_time_without_offset_is_refused() -> None:
    document = json.loads(cloud_event_json(log_entry(1)))
    with pytest.raises(ValueError, match="not an event of Innkeeper"):
        entry_of(json.dumps({**document, "position": 2**63}).encode())
    with pytest.raises(ValueError, match="not an event of Innkeeper"):
        entry_of(json.dumps({**document, "sequence": str(2**63), "id": f"hotel-1:{2**63}"}).encode())
    with pytest.raises(ValueError, match="not an event of Innkeeper"):
        entry_of(json.dumps({**document, "sequence": "0", "id": "hotel-1:0"}).encode())
    with pytest.raises(ValueError, match="no offset"):
        entry_of(json.dumps({**document, "time": "2026-06-01T12:00:00"}).encode())


def test_a_consumer_continues_when_missing_events_cannot_be_fetched(
    clean_rabbitmq: str, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = InboxWithFailingFetch(times=3)
    run_consumer(
        RabbitConsumer(clean_rabbitmq, NAMES, "billing", inbox, lambda _: "billing"), lambda: inbox.fetch_attempts >= 6
    )
    assert caplog.text.count("cannot fetch missing events") == 1
    assert caplog.text.count("fetches missing events again") == 1
    assert "receives no events" not in caplog.text


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("disconnects", [True, False])
def test_a_rabbitmq_consumer_recovers_from_any_error(
    clean_rabbitmq: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
    error: BaseException, disconnects: bool,
) -> None:  # fmt: skip
    async def publish() -> None:
        broker = RabbitPublisher(clean_rabbitmq, NAMES)
        await broker.handle([log_entry(one) for one in range(1, 31)])
        await broker.close()

    def published() -> None:
        run_consumer(
            RabbitConsumer(clean_rabbitmq, NAMES, "billing", InboxWithFailingFetch(0), str),
            lambda: is_consumed(clean_rabbitmq),
        )
        asyncio.run(publish())
        if not disconnects:
            fails = failing_after(rabbitmq_connection.close, RuntimeError("while closing"))
            monkeypatch.setattr(rabbitmq_connection, "close", fails)

    inbox = FailingInbox(tmp_path / "inbox.db", error)
    check_recovery(
        lambda inbox: RabbitConsumer(clean_rabbitmq, NAMES, "billing", inbox, lambda _: "billing"),
        inbox,
        published,
        lambda: caplog.text,
    )


def is_consumed(url: str) -> bool:
    """Does billing's queue have a consumer? It is bound by then."""

    async def check() -> bool:
        async with await aio_pika.connect(url) as connection:
            try:
                queue = await (await connection.channel()).get_queue(NAMES.consumer("billing"))
            except aio_pika.exceptions.ChannelNotFoundEntity:
                return False
            return bool(queue.declaration_result.consumer_count)

    return asyncio.run(check())


def test_a_connection_to_a_broker_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent_server:
        silent_server.settimeout(RECOVERY_SECONDS_MAX)
        consumer = RabbitConsumer(
            f"amqp://guest:guest@127.0.0.1:{silent_server.getsockname()[1]}/",
            NAMES,
            "billing",
            InboxWithFailingFetch(),
            str,
        )
        connections: list[socket.socket] = []

        def connected_twice() -> bool:
            connections.append(silent_server.accept()[0])
            return len(connections) >= 2

        run_consumer(consumer, connected_twice)
        for connection in connections:
            connection.close()


@pytest.fixture
def clean_rabbitmq(rabbitmq: str, tmp_path: Path) -> Iterator[str]:
    """A RabbitMQ without the queues of an earlier test."""
    asyncio.run(delete_queues(rabbitmq, [NAMES]))
    yield rabbitmq
    asyncio.run(delete_queues(rabbitmq, [NAMES, *names_in(tmp_path)]))


def test_services_get_every_event_through_rabbitmq(clean_rabbitmq: str, tmp_path: Path) -> None:
    with split_gateway(tmp_path, clean_rabbitmq) as server:
        hotel = server.open_hotel({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        assert_all_delivered(server, tmp_path, hotel, book_each(server, hotel, range(20)))


@pytest.mark.parametrize("fault", [TcpProxy.disconnect, TcpProxy.drop_data])
def test_each_event_takes_effect_once_although_the_connection_breaks(
    clean_rabbitmq: str, tmp_path: Path, fault: Callable[[TcpProxy], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = urlsplit(clean_rabbitmq)
    with tcp_proxy(str(parts.hostname), parts.port or 5672) as proxy:
        broker = f"amqp://{parts.username}:{parts.password}@127.0.0.1:{proxy.port}{parts.path}?heartbeat=1"
        with split_gateway(tmp_path, broker) as server:
            hotel = server.open_hotel({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
            booked = book_each(server, hotel, range(10))
            fault(proxy)
            booked += book_each(server, hotel, range(10, 20))
            proxy.accept_connections()
            booked += book_each(server, hotel, range(20, 25))
            assert_all_delivered(server, tmp_path, hotel, booked)


def test_an_event_that_was_not_acknowledged_does_not_take_effect_twice(
    clean_rabbitmq: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = aio_pika.exceptions.ChannelInvalidStateError("as when the process ends just here")
    with split_gateway(tmp_path, clean_rabbitmq) as server:
        hotel = server.open_hotel({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        with monkeypatch.context() as patched:

            async def fail(*_: Any, **__: Any) -> None:
                raise error

            patched.setattr(aio_pika.IncomingMessage, "ack", fail)
            booked = book_each(server, hotel, range(5))
            server.all_events()
        booked += book_each(server, hotel, range(5, 10))
        assert_all_delivered(server, tmp_path, hotel, booked)


def test_each_part_stops_and_starts_again_without_losing_an_event(clean_rabbitmq: str, tmp_path: Path) -> None:
    with split_gateway(tmp_path, clean_rabbitmq) as server:
        hotel = server.open_hotel({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        booked = book_each(server, hotel, range(3))
        for number, part in enumerate(QUEUES, start=1):
            server.stop_part(part)
            booked += book_each(server, hotel, range(3 * number, 3 * number + 3))
            server.start_part(part)
        server.stop_part("reservations")
        assert server.post(f"{hotel}/bookings", {}).status in (422, 503)
        server.start_part("reservations")
        wait_until(lambda: server.get(hotel).status == 200, RECOVERY_SECONDS_MAX)
        booked += book_each(server, hotel, range(20, 23))
        assert_all_delivered(server, tmp_path, hotel, booked)


def test_handled_events_leave_the_inbox_and_can_be_sent_again(
    clean_rabbitmq: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "inbox_trim_seconds", 0.1)
    monkeypatch.setattr(limits, "inbox_kept_seconds", 0)

    def stored() -> int:
        with closing(sqlite3.connect(tmp_path / "delivery-inbox.db")) as db:
            return int(db.execute("SELECT count(*) FROM entries").fetchone()[0])

    with webhook_receiver() as receiver, split_gateway(tmp_path, clean_rabbitmq) as server:
        hotel = server.open_hotel({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        booked = book_each(server, hotel, range(5))
        assert_all_delivered(server, tmp_path, hotel, booked)
        wait_until(lambda: stored() == 0, RECOVERY_SECONDS_MAX)
        server.stop_part("delivery")
        server.start_part("delivery")
        booked += book_each(server, hotel, range(5, 8))
        assert_all_delivered(server, tmp_path, hotel, booked)
        wait_until(lambda: stored() == 0, RECOVERY_SECONDS_MAX)
        hook = server.post("/v1/webhooks", {"url": receiver.url, "events": ["innkeeper.booking.confirmed.v1"]}).json
        server.post(f"/v1/webhooks/{hook['id']}/actions/replay", {"after": 0, "log": "reservations"})
        wait_until(lambda: len(receiver.received) == len(booked), RECOVERY_SECONDS_MAX)


def test_a_message_that_is_not_an_event_is_dead_lettered_and_can_be_sent_again(
    clean_rabbitmq: str, tmp_path: Path
) -> None:
    async def publish_raw(body: bytes) -> None:
        async with await aio_pika.connect(clean_rabbitmq) as connection:
            channel = await connection.channel()
            (names,) = names_in(tmp_path)
            exchange = await channel.get_exchange(names.events)
            await exchange.publish(aio_pika.Message(body, message_id="poison", headers={**names.headers}), "x.y")

    async def dead_letters(send_again: bool = False) -> list[Any]:
        async with await aio_pika.connect(clean_rabbitmq) as connection:
            channel = await connection.channel()
            (names,) = names_in(tmp_path)
            queue = await channel.get_queue(f"{names.consumer('billing')}.dead")
            found = []
            while message := await queue.get(fail=False):
                if message.message_id != "poison":
                    continue  # of another installation on this broker, which has the same name
                found.append((message.message_id, message.body, message.headers[REASON_HEADER]))
                if send_again:
                    again = aio_pika.Message(message.body, message_id=message.message_id, headers=message.headers)
                    await channel.default_exchange.publish(again, names.consumer("billing"))
                await message.ack()
            return found

    with split_gateway(tmp_path, clean_rabbitmq) as server:
        hotel = server.open_hotel({"DBL": 50}, id=f"hotel-{uuid.uuid4().hex[:12]}")
        asyncio.run(publish_raw(b"not an event"))
        assert_all_delivered(server, tmp_path, hotel, book_each(server, hotel, range(3)))
        found: list[Any] = []
        wait_until(
            lambda: bool(found.extend(asyncio.run(dead_letters(send_again=True))) or found), RECOVERY_SECONDS_MAX
        )
        assert found[0][:2] == ("poison", b"not an event")
        assert "JSON" in found[0][2]
        again: list[Any] = []
        wait_until(lambda: bool(again.extend(asyncio.run(dead_letters())) or again), RECOVERY_SECONDS_MAX)
        assert again[0][:2] == found[0][:2]
