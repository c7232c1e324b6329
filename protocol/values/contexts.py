"""The contexts that make events, and the logs that hold them.

Reservations is spread over partitions, each with a log of its own; a hotel never changes its partition.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

RESERVATIONS: Final = "reservations"
BILLING: Final = "billing"
DELIVERY: Final = "delivery"
NOTIFICATIONS: Final = "notifications"
GATEWAY: Final = "gateway"


def partition_of(hotel: str, partitions: int) -> int:
    """Returns the number of a hotel's partition: the same one on every machine and in every version."""
    if partitions == 1:
        return 0
    return int.from_bytes(blake2b(hotel.encode(), digest_size=8).digest()) % partitions


def reservations_logs(partitions: int) -> Sequence[str]:
    """Returns the logs of reservations, one for each partition: `reservations`, or `reservations-0` and so on."""
    if partitions == 1:
        return (RESERVATIONS,)
    return [f"{RESERVATIONS}-{number}" for number in range(partitions)]


def partition_number(log: str) -> int:
    """Returns the number of the partition that a log of reservations belongs to."""
    return int(log.partition("-")[2] or 0)


def gateways(workers: int) -> list[str]:
    """Returns the names of the gateways, where so many share a port."""
    return [f"{GATEWAY}-{number}" for number in range(workers)]


def is_gateway(part: str) -> bool:
    """Returns whether this part is a gateway."""
    return context_of(part) == GATEWAY


def log_of(context: str, hotel: str, partitions: int) -> str:
    """Returns the name of the log that holds a context's events of a hotel."""
    if context != RESERVATIONS:
        return context
    return reservations_logs(partitions)[partition_of(hotel, partitions)]


def context_of(log: str) -> str:
    """Returns the context of a log."""
    return log.partition("-")[0]


def rank_of(log: str) -> int:
    """Returns the rank of a log's context: events of a context may be caused by those of contexts of lower rank."""
    return (RESERVATIONS, BILLING, DELIVERY).index(context_of(log))
