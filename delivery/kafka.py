"""Events on their way to Kafka: a subscriber that produces what it takes in, and whose cursor moves when all replicas
have it.

A hotel's events go to one partition of the topic, in order. After a failure some are produced again, with the same id.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from innkeeper.protocol import limits
from innkeeper.protocol.cloud_event import cloud_event_json
from innkeeper.protocol.record import Entry
from innkeeper.protocol.subscribing import Keep, Stalled

TOPIC = "innkeeper.events"
_HEADERS = [("content-type", b"application/cloudevents+json; charset=utf-8")]


class KafkaPublisher:
    """The topic `innkeeper.events` of the cluster at `kafka://host:port,host:port`; an event's key is its hotel."""

    def __init__(self, url: str) -> None:
        self._servers = urlsplit(url).netloc
        self._producer: AIOKafkaProducer | None = None

    async def take_in(self, entries: Sequence[Entry]) -> Keep:
        """See `protocol.subscribing.Handle`."""
        try:
            async with asyncio.timeout(limits.broker_seconds_max):
                producer = await self._open()
                sent = [
                    await producer.send(
                        TOPIC, cloud_event_json(entry), key=entry[1].hotel.encode(), headers=_HEADERS,
                        timestamp_ms=entry[1].at // 1_000,
                    )
                    for entry in entries
                ]  # fmt: skip
                await asyncio.gather(*sent)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            reason = str(error) or f"no answer in {limits.broker_seconds_max} s"
            raise Stalled(f"Kafka at {self._servers} does not take events: {reason}") from error
        return _acknowledged

    async def close(self) -> None:
        """Hang up."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(1):  # it would wait for a cluster that has died
                    await producer.stop()

    async def _open(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._servers, client_id="innkeeper", acks="all", enable_idempotence=True
            )  # fmt: skip
            self._producer = producer
            await producer.start()
        return self._producer


def _acknowledged() -> None:
    """The cluster has it: that is the effect."""
