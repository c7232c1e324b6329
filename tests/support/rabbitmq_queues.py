"""The queues that services have in RabbitMQ, and how a test removes them."""

import aio_pika

QUEUES = ("billing", "notifications", "delivery")


async def delete_queues(url: str) -> None:
    """Delete the queues of all services, with what is in them."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for name in QUEUES:
            for queue in (f"innkeeper.{name}", f"innkeeper.{name}.dead"):
                await channel.queue_delete(queue)
