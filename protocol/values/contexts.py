"""The contexts that make events, each with its own words, and the logs in which they stand.

Reservations is spread over partitions, each with a log of its own; a hotel is in the same one for ever.
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
    """In which of so many partitions a hotel is: the same one on every machine and in every version."""
    if partitions == 1:
        return 0
    return int.from_bytes(blake2b(hotel.encode(), digest_size=8).digest()) % partitions


def reservations_logs(partitions: int) -> Sequence[str]:
    """The logs of reservations, one for each partition: `reservations`, or `reservations-0` and so on."""
    if partitions == 1:
        return (RESERVATIONS,)
    return [f"{RESERVATIONS}-{number}" for number in range(partitions)]


def gateways(workers: int) -> list[str]:
    """The gateways, where so many share a port."""
    return [f"{GATEWAY}-{number}" for number in range(workers)]


def is_gateway(part: str) -> bool:
    """Is this part of an inn a gateway?"""
    return context_of(part) == GATEWAY


def log_of(context: str, hotel: str, partitions: int) -> str:
    """In which log the events stand that a context made of a hotel."""
    if context != RESERVATIONS:
        return context
    return reservations_logs(partitions)[partition_of(hotel, partitions)]


def context_of(log: str) -> str:
    """Whose log it is."""
    return log.partition("-")[0]


def rank_of(log: str) -> int:
    """What happens in a context may follow from what happened in those of a lower rank."""
    return (RESERVATIONS, BILLING, DELIVERY).index(context_of(log))
