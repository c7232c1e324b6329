"""The names under which events are found at a broker, and messages that no service can handle.

They are part of the interface: other systems bind queues to the exchange and subscribe to the topic.
"""

from typing import Final

EXCHANGE: Final = "innkeeper.events"
DEAD_LETTER_EXCHANGE: Final = "innkeeper.dead"
TOPIC: Final = "innkeeper.events"
DEAD_LETTER_TOPIC: Final = "innkeeper.events.dead"
REASON_HEADER: Final = "innkeeper-reason"
GROUP_HEADER: Final = "innkeeper-group"


def consumer_name(service: str) -> str:
    """Returns the name of a service's queue, or of its consumer group."""
    return f"innkeeper.{service}"
