"""The queues that services have in RabbitMQ, and how a test removes them."""

from collections.abc import Iterable

import aio_pika
from innkeeper.protocol.delivery.broker_names import BrokerNames

QUEUES = ("billing", "notifications", "delivery")


async def delete_queues(url: str, installations: Iterable[BrokerNames]) -> None:
    """Delete the queues of all services of these installations, with what is in them."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for names in installations:
            for queue in map(names.consumer, QUEUES):
                await channel.queue_delete(queue)
                await channel.queue_delete(f"{queue}.dead")
