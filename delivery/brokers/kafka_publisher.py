"""The publisher for Kafka: a subscriber whose cursor moves when all replicas have the events.

A hotel's events go to one partition of the topic, in order. After a failure some are produced again, with the same id.
"""

import asyncio
import logging
from contextlib import suppress

from aiokafka import AIOKafkaProducer, errors
from aiokafka.admin import AIOKafkaAdminClient
from innkeeper.delivery.brokers.kafka_cluster import KafkaCluster, start
from innkeeper.delivery.brokers.publishing import BatchPublisher, Confirmation
from innkeeper.protocol.codec.cloud_event import MEDIA_TYPE
from innkeeper.protocol.delivery.broker_names import BrokerNames
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.values import limits

logger = logging.getLogger(__name__)

_STOP_SECONDS_MAX = 300.0  # after that the cluster may have addresses that this producer does not know
_CONTENT_TYPE = {"content-type": f"{MEDIA_TYPE}; charset=utf-8"}
_TOO_LARGE = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.RecordTooLargeError)


class KafkaPublisher(BatchPublisher):
    """Publishes to the topic `NAME.events` of a cluster; an event's key is its hotel. The cluster's limit of a message
    counts, not one of the client.

    An idempotent producer resends what it has accepted until it is confirmed, also while it stops. A failed producer is
    therefore stopped before the next one is made, so that the cluster never gets events from two producers.
    """

    lost = (errors.KafkaError, OSError, TimeoutError)

    def __init__(self, url: str, names: BrokerNames) -> None:
        self._cluster = KafkaCluster(url)
        self._topic = names.events
        self._headers = [(name, text.encode()) for name, text in (_CONTENT_TYPE | names.headers).items()]
        self._producer: AIOKafkaProducer | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._stop_until = 0.0
        self._offsets: dict[int, int] = {}

    async def close(self) -> None:
        """Disconnects, and drops what is not confirmed within `broker_close_seconds_max`."""
        await self._discard()
        stopping, self._stopping = self._stopping, None
        if stopping is not None:
            await asyncio.wait({stopping}, timeout=limits.broker_close_seconds_max)
            stopping.cancel()
            await asyncio.wait({stopping})

    async def _open(self) -> None:
        if self._stopping is not None:
            timeout = self._stop_until - asyncio.get_running_loop().time()
            await asyncio.wait({self._stopping}, timeout=max(0.0, timeout))
            self._stopping = None
        if self._producer is None:
            await self._ensure_topic()
            self._producer = AIOKafkaProducer(
                **self._cluster.settings(),
                acks="all",
                enable_idempotence=True,
                max_request_size=limits.broker_request_bytes_max,
            )
            await start(self._producer)

    async def _ensure_topic(self) -> None:
        admin = AIOKafkaAdminClient(**self._cluster.settings())
        try:
            await start(admin)
            if not await self._cluster.ensure_topic(admin, self._topic) and self._offsets:
                self._say_deleted()
        finally:
            await admin.close()

    async def _send(self, entry: LogEntry, body: bytes) -> Confirmation:
        assert self._producer is not None
        key = entry[1].hotel.encode()
        confirmation: Confirmation = await self._producer.send(self._topic, body, key=key, headers=self._headers)
        confirmation.add_done_callback(self._note_offset)
        return confirmation

    def _note_offset(self, confirmation: Confirmation) -> None:
        """Notices a topic that was deleted and made anew by its offsets, which begin again."""
        if confirmation.cancelled() or confirmation.exception() is not None:
            return
        partition, offset = confirmation.result().partition, confirmation.result().offset
        if 0 <= offset < self._offsets.get(partition, 0):
            self._say_deleted()
        self._offsets[partition] = offset

    def _say_deleted(self) -> None:
        self._offsets.clear()
        logger.warning(
            "the topic %s was deleted, and is made anew: what was in it is in GET /v1/events for consumers of your own",
            self._topic,
        )

    def _refusal(self, error: Exception) -> str:
        if isinstance(error, _TOO_LARGE):
            return (
                f"Kafka at {self._cluster.servers} refuses the event as too large: raise max.message.bytes of the topic"
                f" {self._topic}, and retry the dead letter"
            )
        if isinstance(error, errors.PolicyViolationError | errors.InvalidTimestampError):
            return f"Kafka at {self._cluster.servers} refuses the event: {type(error).__name__}"
        return ""

    async def _reason(self, error: Exception) -> str:
        reason = await self._cluster.reason(error, self._topic)
        return f"Kafka at {self._cluster.servers} does not take events: {reason}"

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._stopping = asyncio.create_task(_stop(producer))
            self._stop_until = asyncio.get_running_loop().time() + _STOP_SECONDS_MAX


async def _stop(producer: AIOKafkaProducer) -> None:
    try:
        with suppress(errors.KafkaError, OSError, TimeoutError):
            await producer.stop()
    finally:
        await producer.client.close()
