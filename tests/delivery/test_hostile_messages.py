"""Messages in a queue or topic that are made to break their consumer: each goes to the dead letters, and the events
beside it are stored."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.delivery.brokers.consumer import MessageContent
from innkeeper.delivery.brokers.kafka_consumer import KafkaConsumer
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations.events import BookingCancelled
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.consumer_checks import RemoteLog, log_entry
from support.installations import INSTALLATION, NAMES

LEVELS = 100_000
CANCELLED = cloud_event_json((2, RecordedEvent("hotel-2", 1, 2, "ann", "", "", BookingCancelled("b", fee=12_345))))


def with_fee(fee: bytes) -> bytes:
    """An event with another fee."""
    assert CANCELLED.count(b"12345") == 1
    return CANCELLED.replace(b"12345", fee)


MESSAGES = {
    "many open brackets": b"[" * LEVELS,
    "deep lists": b"[" * LEVELS + b"]" * LEVELS,
    "deep objects": b'{"a":' * LEVELS + b"1" + b"}" * LEVELS,
    "an event with a deep field": with_fee(b"[" * LEVELS + b"]" * LEVELS),
    "an event with a deep field that it does not have": with_fee(b'1,"more":' + b"[" * LEVELS + b"]" * LEVELS),
    "an event with a number that cannot be stored": with_fee(b"9" * 40),
    "an event with a negative number that cannot be stored": with_fee(b"-" + b"9" * 40),
    "an event with a number of too many digits": with_fee(b"9" * 5_000),
}


@pytest.mark.parametrize("body", MESSAGES.values(), ids=MESSAGES)
def test_a_hostile_message_goes_to_the_dead_letters_and_holds_up_no_event(body: bytes, tmp_path: Path) -> None:
    buried: list[bytes] = []

    async def bury(message: bytes, reason: str) -> None:
        assert reason
        buried.append(message)

    def content(message: bytes) -> MessageContent:
        return MessageContent(message, INSTALLATION.id, INSTALLATION.timeline)

    origin = RemoteLog(9)
    with closing(SqliteInbox(tmp_path / "inbox.db", {"billing": origin})) as inbox:
        consumer = KafkaConsumer("kafka://127.0.0.1:9", NAMES, "billing", inbox, lambda _: "billing")
        messages = [cloud_event_json(log_entry(1)), body, with_fee(b"7")]
        asyncio.run(consumer.handle(messages, content, bury, {"topic:0": 3}))
        assert buried == [body]
        assert (inbox.logs["billing"].position, inbox.offset("topic:0")) == (2, 3)
