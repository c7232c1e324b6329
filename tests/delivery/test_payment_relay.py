"""Operations of payments at providers that are away, slow or broken, by the relay's own clock."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from innkeeper.actors.delivery.payment_relay import PaymentRelay
from innkeeper.delivery.backoff import delay_seconds
from innkeeper.protocol.billing.events import PaymentVoided
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.ports.payment_operations import PaymentOperation, ProviderUnreachable
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values.limits import payment_failing_seconds_max, subscriber_attempts_max
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.payment_operations import MemoryPaymentOperations

HOUR = 3_600 * 1_000_000


class BillingLog:
    """The log of billing, with an event for each operation."""

    def __init__(self, records: Iterable[RecordedEvent]) -> None:
        self.records = list(records)
        self.is_away = False

    def read(self, after: int, limit: int, hotel: str | None = None, after_hotel_seq: int = 0) -> list[LogEntry]:
        """See `EventLog`."""
        if self.is_away:
            raise Refused(Unavailable("billing is not running"))
        return [(one.hotel_seq, one) for one in self.records if one.hotel_seq == after_hotel_seq + 1]


class Provider:
    """A provider that does what a test says, with the relay that asks it."""

    def __init__(self) -> None:
        self.now = HOUR
        self.errors: dict[str, list[Exception]] = {}
        self.hangs: set[str] = set()
        self.asked: list[str] = []
        self.done: list[str] = []
        self.log = BillingLog(
            RecordedEvent("seaside", number, 1, "", "", "", PaymentVoided("b", 1, f"p-{number}"))
            for number in range(1, 4)
        )
        self.operations = MemoryPaymentOperations(MemoryDatabase(), "providers")
        self.operations.add(
            [
                PaymentOperation(one.id, "seaside", one.hotel_seq, "voided", f"p-{one.hotel_seq}")
                for one in self.log.records
            ]
        )
        self.relay = PaymentRelay(
            "providers", self.operations, self.log, self._carry_out,  # type: ignore[arg-type]  # it only reads
            lambda attempts: delay_seconds(attempts, 0.5), lambda: self.now, seconds_max=0.05,
        )  # fmt: skip

    async def _carry_out(self, record: RecordedEvent) -> None:
        payment: str = record.event.payment  # type: ignore[attr-defined]
        self.asked.append(payment)
        if payment in self.hangs:
            await asyncio.Event().wait()
        if self.errors.get(payment):
            raise self.errors[payment].pop(0)
        self.done.append(payment)

    def work(self) -> None:
        """Carry out all that is due now."""

        async def run() -> None:
            while await self.relay.step() or self.relay._running:  # noqa: ASYNC110 (there is no event for it)
                await asyncio.sleep(0.001)

        asyncio.run(run())


@pytest.fixture
def provider() -> Provider:
    return Provider()


def test_a_provider_that_is_away_for_a_day_gets_everything_afterwards_once(provider: Provider) -> None:
    for payment in ("p-1", "p-2", "p-3"):
        provider.errors[payment] = [ProviderUnreachable("refused")] * 1_000
    end = provider.now + 24 * HOUR
    while (due_at := provider.relay.due_at()) is not None and due_at < end:
        provider.now = max(provider.now, due_at)
        provider.work()
    assert (provider.done, provider.relay.dead_letters(), provider.relay.state().lag) == ([], [], 3)
    assert len(provider.asked) < 3 * 20, "the pauses grow"
    provider.errors.clear()
    provider.now = end + 6 * HOUR
    provider.work()
    assert (sorted(provider.done), provider.relay.due_at()) == (["p-1", "p-2", "p-3"], None)


def test_a_payment_at_which_the_provider_hangs_holds_up_no_other(provider: Provider) -> None:
    provider.hangs.add("p-1")
    provider.work()
    assert sorted(provider.done) == ["p-2", "p-3"]
    provider.hangs.clear()
    due_at = provider.relay.due_at()
    assert due_at is not None
    provider.now = due_at
    provider.work()
    assert (provider.done[-1], provider.asked.count("p-1")) == ("p-1", 2)


def test_an_operation_that_fails_for_days_is_a_dead_letter_and_can_be_redriven(provider: Provider) -> None:
    provider.errors["p-1"] = [ProviderUnreachable("503")] * 1_000
    began = provider.now
    while not provider.relay.dead_letters():
        provider.work()
        provider.now = max(provider.now, provider.relay.due_at() or 0)
    assert provider.now - began >= payment_failing_seconds_max * 1_000_000
    (dead,) = provider.relay.dead_letters()
    assert (dead.reason, provider.relay.state().parked) == ("503", 1)
    provider.errors.clear()
    provider.relay.redrive(dead.event, drop=False)
    provider.work()
    assert provider.done[-1] == "p-1"


@pytest.mark.parametrize("error", [KeyError("a fault of the adapter"), None])
def test_an_operation_that_cannot_be_carried_out_is_soon_a_dead_letter(
    provider: Provider, error: Exception | None
) -> None:
    if error is None:
        provider.log.records[0] = RecordedEvent("seaside", 1, 1, "", "", "", PaymentVoided("b", 1, "p-9"), "other")
    else:
        provider.errors["p-1"] = [error] * 1_000
    for _ in range(subscriber_attempts_max):
        provider.work()
        provider.now += 12 * HOUR
    assert len(provider.relay.dead_letters()) == 1
    assert sorted(provider.done) == ["p-2", "p-3"]


def test_nothing_is_counted_while_billing_is_away(provider: Provider) -> None:
    provider.log.is_away = True
    for _ in range(10):
        with pytest.raises(Stalled):
            provider.work()
    provider.log.is_away = False
    provider.work()
    assert sorted(provider.done) == ["p-1", "p-2", "p-3"]


def test_what_is_under_way_at_the_stop_is_asked_for_again_under_its_id(provider: Provider) -> None:
    provider.hangs.add("p-1")

    async def run() -> None:
        task = asyncio.create_task(provider.relay.run())
        async with asyncio.timeout(30):
            while len(provider.done) < 2:  # noqa: ASYNC110 (there is no event for it)
                await asyncio.sleep(0.001)
        provider.relay.stop()
        await task

    asyncio.run(run())
    provider.hangs.clear()
    provider.now += HOUR
    provider.work()
    assert sorted(provider.done) == ["p-1", "p-2", "p-3"]


def test_a_pause_leaves_operations_where_they_are(provider: Provider) -> None:
    provider.relay.pause(True)
    provider.work()
    state: Any = provider.relay.state()
    assert (provider.asked, state.paused, state.lag, provider.relay.due_at()) == ([], True, 3, None)
