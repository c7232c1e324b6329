"""What a payment provider reports while billing is away: it is refused as unavailable, and reported again."""

import asyncio
import time
from itertools import count
from pathlib import Path

import pytest
from innkeeper.actors.billing.router import LEDGER
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.partition import Partition
from innkeeper.delivery.payments.payments import Payments
from innkeeper.delivery.payments.simulated import SimulatedProvider
from innkeeper.delivery.webhooks.signing import fresh_secret
from innkeeper.protocol.billing.payments import PaymentInstruction, PaymentUpdate, ReceiveProviderNotification
from innkeeper.protocol.messages.refusals import NotFound, Refusal, Refused, Unavailable
from innkeeper.protocol.ports.service_store import Transaction
from innkeeper.protocol.values.contexts import BILLING
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.actor_systems import open_actor_system

LATE = PaymentInstruction(
    payment="p-1", hotel="seaside", booking="b-1", amount=10_000, currency="EUR", capture=True, token="late-0",
    started_at=0,
)  # fmt: skip


def clock() -> int:
    return int(time.time() * 1e6)


def no_transaction() -> Transaction:
    """No notification writes anything in the service's database."""
    raise AssertionError


@pytest.fixture
def billing(tmp_path: Path) -> Partition:
    """A partition of ledgers, not started."""
    ids = (f"id-{number}" for number in count())
    journal = tmp_path / "journal.db"
    return Partition(
        lambda: Host(SqliteJournal(journal), clock, lambda: next(ids), LEDGER, open_actor_system), clock, BILLING
    )


class Receiver:
    """Receives the notifications of a provider, and refuses the first ones."""

    def __init__(self, *refusals: Refusal) -> None:
        self.refusals = [*refusals]
        self.received: list[ReceiveProviderNotification] = []
        self.provider = SimulatedProvider("simulated", fresh_secret(), self._receive, clock)

    async def _receive(self, message: ReceiveProviderNotification) -> None:
        self.received.append(message)
        if self.refusals:
            raise Refused(self.refusals.pop(0))

    async def pay(self) -> None:
        """Have the provider report a payment late, until all of its tasks have ended."""
        await self.provider.start(LATE)
        ends = asyncio.all_tasks() - {asyncio.current_task()}
        async with asyncio.timeout(30):
            await asyncio.gather(*ends)

    def updates(self) -> list[PaymentUpdate]:
        """What each notification reports; its signature is checked."""
        return [
            update for one in self.received for update in asyncio.run(self.provider.read(one.headers, one.body))
        ]  # fmt: skip


def test_a_notification_is_refused_as_unavailable_while_billing_does_not_answer(billing: Partition) -> None:
    receiver = Receiver()
    asyncio.run(receiver.pay())
    (message,) = receiver.received
    with pytest.raises(Refused) as refused:
        asyncio.run(Payments(billing, {"simulated": receiver.provider}).receive(message, no_transaction))
    assert refused.value.refusal == Unavailable("billing does not answer: the partition is not running")


def test_the_simulated_provider_reports_a_late_payment_until_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.delivery.payments.simulated._NOTIFY_AGAIN_SECONDS", 0.001)
    receiver = Receiver(Unavailable("billing is away"), Unavailable("billing is away"))
    asyncio.run(receiver.pay())
    updates = receiver.updates()
    assert [one.outcome for one in updates] == ["captured"] * 3
    assert updates == updates[:1] * 3


def test_the_simulated_provider_gives_up_what_is_not_wanted() -> None:
    receiver = Receiver(NotFound("payment", "p-1"))
    asyncio.run(receiver.pay())
    assert len(receiver.received) == 1
