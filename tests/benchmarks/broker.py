"""The rate of confirmed publishes to RabbitMQ, with and without a quorum queue that stores the events."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import asynccontextmanager
from time import perf_counter

import aio_pika
from innkeeper.delivery.brokers.rabbitmq_publisher import RabbitPublisher
from innkeeper.protocol.delivery.broker_names import BrokerNames
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.installation import Installation
from innkeeper.protocol.values.limits import subscriber_batch_events_max
from parts import Bench, progress

URL = os.environ.get("INNKEEPER_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/")
QUEUE = "innkeeper-benchmark"
NAMES = BrokerNames(Installation("0" * 32, QUEUE, "0" * 32, 1))
HOTEL = "innkeeper-benchmark"
PER_SECOND_MIN = 5_000
EVENTS = 20_000


def publishing(bench: Bench) -> None:
    """Publish with a queue that is bound to all events, and with none, in turn."""
    try:
        rates = asyncio.run(_rates(bench.rounds))
    except (OSError, aio_pika.exceptions.AMQPError) as error:
        bench.report.note(f"No RabbitMQ can be reached ({error}); publishes to it are not measured.")
        return
    for title, found in rates.items():
        median = sorted(found)[len(found) // 2]
        bench.report.add(
            f"confirmed publishes to RabbitMQ, {title}",
            f"≥ {PER_SECOND_MIN:,}/s",
            f"{median:,.0f}/s",
            median >= PER_SECOND_MIN,
        )


async def _rates(rounds: int) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {"in a quorum queue": [], "no queue bound": []}
    with progress(rounds * len(rates), "publishing") as bar:
        for _ in range(rounds):
            async with _queue():
                rates["in a quorum queue"].append(await _rate())
            bar.update()
            rates["no queue bound"].append(await _rate())
            bar.update()
    return rates


@asynccontextmanager
async def _queue():  # type: ignore[no-untyped-def]
    async with await aio_pika.connect(URL) as connection:
        channel = await connection.channel()
        await channel.declare_exchange(NAMES.events, aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        await queue.bind(NAMES.events, f"{HOTEL}.#")
        try:
            yield
        finally:
            await queue.delete(if_unused=False, if_empty=False)


def _event(number: int) -> BookingPinned:
    return BookingPinned(f"booking-{number}", "101")


async def _rate() -> float:
    publisher = RabbitPublisher(URL, NAMES)
    entries: Sequence[LogEntry] = [
        (number, RecordedEvent(HOTEL, number, number, "ann", f"request-{number}", f"command-{number}", _event(number)))
        for number in range(1, EVENTS + 1)
    ]
    try:
        await publisher.handle(entries[:1])
        start = perf_counter()
        for first in range(0, EVENTS, subscriber_batch_events_max):
            await publisher.handle(entries[first : first + subscriber_batch_events_max])
        return EVENTS / (perf_counter() - start)
    finally:
        await publisher.close()
