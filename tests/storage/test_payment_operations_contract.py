"""What every engine does with the operations for payment providers."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from innkeeper.protocol.ports.payment_operations import PaymentOperation, PaymentOperations
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.values.contexts import DELIVERY


class Opened:
    """The operations of a store that can be opened again."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._exits = ExitStack()
        self.again()

    def again(self) -> PaymentOperations:
        """Close the store, and open it again."""
        self._exits.close()
        self.operations = self._exits.enter_context(self._storage.delivery_store(DELIVERY)).payment_operations
        return self.operations

    def close(self) -> None:
        """Close the store."""
        self._exits.close()


@pytest.fixture
def opened(storage: Storage) -> Iterator[Opened]:
    opened = Opened(storage)
    yield opened
    opened.close()


def operation(number: int, payment: str = "p-1") -> PaymentOperation:
    return PaymentOperation(f"billing:seaside:{number}", "seaside", number, "innkeeper.payment.started.v1", payment)


def events(opened: Opened, at: int = 10, limit: int = 10) -> list[int]:
    return [due.operation.sequence for due in opened.operations.due(at, limit)]


def test_operations_of_one_payment_are_due_one_after_another(opened: Opened) -> None:
    opened.operations.add([operation(1), operation(2), operation(3, "p-2")])
    opened.operations.add([operation(2)])
    assert (events(opened), events(opened, limit=1), opened.operations.count()) == ([1, 3], [1], (3, 0))
    assert opened.operations.due(10, 1)[0].operation == operation(1)
    opened.operations.mark_done("billing:seaside:1")
    opened.again()
    assert events(opened) == [2, 3]


def test_a_failed_operation_is_due_later_and_holds_up_its_payment_only(opened: Opened) -> None:
    opened.operations.add([operation(1), operation(2), operation(3, "p-2")])
    opened.operations.mark_failed("billing:seaside:1", "away", 10, 30)
    opened.operations.mark_failed("billing:seaside:1", "away", 20, 40)
    assert (events(opened, 30), events(opened, 40), opened.operations.next_due_at()) == ([3], [1, 3], 0)
    assert [(due.attempts, due.since) for due in opened.again().due(40, 1)] == [(2, 10)]
    opened.operations.mark_done("billing:seaside:3")
    assert opened.operations.next_due_at() == 40


@pytest.mark.parametrize("drop", [False, True])
def test_a_dead_letter_holds_up_its_payment_until_it_is_redriven_or_dropped(opened: Opened, drop: bool) -> None:
    opened.operations.add([operation(1), operation(2), operation(3, "p-2")])
    opened.operations.mark_failed("billing:seaside:1", "no such token", 10, None)
    assert (events(opened), opened.again().count()) == ([3], (2, 1))
    (dead,) = opened.operations.dead_letters()
    assert (dead.subscriber, dead.event, dead.type, dead.reason, dead.attempts, dead.since) == (
        "providers", "billing:seaside:1", "innkeeper.payment.started.v1", "no such token", 1, 10
    )  # fmt: skip
    assert opened.operations.redrive("billing:seaside:2", drop) is None
    assert opened.operations.redrive("billing:seaside:1", drop) == dead
    assert (events(opened), opened.operations.dead_letters()) == ([2, 3] if drop else [1, 3], [])
    assert opened.operations.due(10, 1)[0].attempts == 0


def test_a_pause_is_kept(opened: Opened) -> None:
    opened.operations.pause(True)
    assert opened.again().paused
    opened.operations.pause(False)
    assert not opened.again().paused
