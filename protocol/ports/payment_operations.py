"""The operations that payment providers are to carry out, each of which follows from an event of billing.

An operation is written here in the transaction that moves the cursor, and removed when the provider has carried it out.
Its event stays in the log of billing.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec
from innkeeper.protocol.ports.subscriptions import DeadLetter

PROVIDERS: Final = "providers"
"""The name of the task that carries out the operations, among the subscribers."""


class ProviderUnreachable(Exception):
    """A payment provider does not answer; the operation is to be repeated later."""


class PaymentOperation(msgspec.Struct, frozen=True):
    """What a provider is to do with a payment: the id of the event from which it follows, which is that of the
    operation too, the event's hotel, sequence and type, and the payment."""

    event: str
    hotel: str
    sequence: int
    type: str
    payment: str


class DueOperation(msgspec.Struct, frozen=True):
    """An operation that is due, how many attempts have failed, and since when (microseconds since 1970 UTC; 0 where
    none has)."""

    operation: PaymentOperation
    attempts: int
    since: int


class PaymentOperations(Protocol):
    """Stores operations. Those of one payment are due one after another. For one thread."""

    def add(self, operations: Sequence[PaymentOperation]) -> None:
        """Adds operations, without those that are there."""

    def due(self, at: int, limit: int) -> list[DueOperation]:
        """Returns the operations that are due, at most so many, in their order; none whose payment has an earlier one,
        also where that is a dead letter."""

    def next_due_at(self) -> int | None:
        """Returns when the next operation is due that no earlier one blocks, in microseconds since 1970 UTC; None
        without one."""

    def count(self) -> tuple[int, int]:
        """Returns the number of operations that are to be carried out yet, and of those that are dead letters."""

    def mark_done(self, event: str) -> None:
        """Removes an operation that was carried out."""

    def mark_failed(self, event: str, reason: str, at: int, retry_at: int | None) -> None:
        """Records a failed attempt and when to retry it; None makes the operation a dead letter."""

    @property
    def paused(self) -> bool:
        """Whether operations are paused."""

    def pause(self, paused: bool) -> None:
        """Pauses or resumes them."""

    def dead_letters(self) -> list[DeadLetter]:
        """Returns the operations that are not retried any more, oldest first."""

    def redrive(self, event: str, drop: bool = False) -> DeadLetter | None:
        """Makes a dead letter due again, or drops it; None where it is none."""
