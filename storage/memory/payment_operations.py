"""The operations for payment providers in memory, in the database of delivery beside its cursors."""

from collections.abc import Sequence
from itertools import count

import msgspec
from innkeeper.protocol.ports.payment_operations import DueOperation, PaymentOperation
from innkeeper.protocol.ports.subscriptions import DeadLetter
from innkeeper.storage.memory.database import MemoryDatabase


class StoredOperation(msgspec.Struct, frozen=True):
    """An operation that was not carried out yet. `number` is its place in the order; a dead letter has no `due_at`."""

    number: int
    operation: PaymentOperation
    due_at: int | None = 0
    attempts: int = 0
    reason: str = ""
    since: int = 0


class MemoryPaymentOperations:
    """Implements `protocol.ports.payment_operations.PaymentOperations` in memory."""

    def __init__(self, database: MemoryDatabase, name: str) -> None:
        """`name` is the subscriber that its dead letters name."""
        self._name = name
        self._operations, self._providers = database.table("payment_operations"), database.table("providers")
        self._numbers = count(max((one.number for one in self._operations.values()), default=0) + 1)

    def add(self, operations: Sequence[PaymentOperation]) -> None:
        """See `PaymentOperations`."""
        for one in operations:
            if one.event not in self._operations:
                self._operations[one.event] = StoredOperation(next(self._numbers), one)

    def due(self, at: int, limit: int) -> list[DueOperation]:
        """See `PaymentOperations`."""
        found = [one for one in self._first_of_payments() if one.due_at is not None and one.due_at <= at]
        return [DueOperation(one.operation, one.attempts, one.since) for one in found[:limit]]

    def _first_of_payments(self) -> list[StoredOperation]:
        found: dict[tuple[str, str], StoredOperation] = {}
        for one in self._in_order():
            found.setdefault((one.operation.hotel, one.operation.payment), one)
        return [*found.values()]

    def next_due_at(self) -> int | None:
        """See `PaymentOperations`."""
        return min((one.due_at for one in self._first_of_payments() if one.due_at is not None), default=None)

    def count(self) -> tuple[int, int]:
        """See `PaymentOperations`."""
        dead = [one.due_at for one in self._operations.values()].count(None)
        return len(self._operations) - dead, dead

    def mark_done(self, event: str) -> None:
        """See `PaymentOperations`."""
        self._operations.pop(event, None)

    def mark_failed(self, event: str, reason: str, at: int, retry_at: int | None) -> None:
        """See `PaymentOperations`."""
        if (was := self._operations.get(event)) is not None:
            self._operations[event] = msgspec.structs.replace(
                was, due_at=retry_at, reason=reason, attempts=was.attempts + 1, since=was.since or at
            )

    @property
    def paused(self) -> bool:
        """See `PaymentOperations`."""
        return bool(self._providers.get("paused", False))

    def pause(self, paused: bool) -> None:
        """See `PaymentOperations`."""
        self._providers["paused"] = paused

    def dead_letters(self) -> list[DeadLetter]:
        """See `PaymentOperations`."""
        dead = sorted((one for one in self._in_order() if one.due_at is None), key=lambda one: one.since)
        return [self._dead_letter(one) for one in dead]

    def redrive(self, event: str, drop: bool = False) -> DeadLetter | None:
        """See `PaymentOperations`."""
        was = self._operations.get(event)
        if was is None or was.due_at is not None:
            return None
        if drop:
            self.mark_done(event)
        else:
            self._operations[event] = msgspec.structs.replace(was, due_at=0, attempts=0, since=0)
        return self._dead_letter(was)

    def _in_order(self) -> list[StoredOperation]:
        return sorted(self._operations.values(), key=lambda one: one.number)

    def _dead_letter(self, one: StoredOperation) -> DeadLetter:
        asked = one.operation
        return DeadLetter(
            self._name, asked.hotel, asked.event, asked.type, one.reason, "", one.attempts, one.since, None
        )
