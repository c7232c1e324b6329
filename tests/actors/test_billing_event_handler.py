"""Billing's handler of events: waits while its ledgers cannot answer, and reports an event that makes a ledger fail."""

import asyncio
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest
from innkeeper.actors.billing.event_handler import BillingEventHandler
from innkeeper.actors.billing.router import LEDGER
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.partition import Partition
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.reservations.events import HotelOpened
from innkeeper.protocol.reservations.terms import TermsOfSale
from innkeeper.protocol.values.contexts import BILLING
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.actor_systems import open_actor_system
from support.partition_fixture import HOTEL, NOON, TODAY

OPENED: LogEntry = 1, RecordedEvent(
    HOTEL, 1, NOON, "ann", "request-1", "command-1",
    HotelOpened("Seaside", "Europe/Lisbon", "EUR", "15:00", "11:00", "manual", TODAY, TermsOfSale()),
)  # fmt: skip


@pytest.fixture
def ledgers(tmp_path: Path) -> Partition:
    """A partition of ledgers, not started."""
    ids = (f"id-{number}" for number in count())
    journal = tmp_path / "journal.db"
    return Partition(
        lambda: Host(SqliteJournal(journal), lambda: NOON, lambda: next(ids), LEDGER, open_actor_system),
        lambda: NOON,
        BILLING,
    )


async def handle_opened(ledgers: Partition) -> None:
    """Starts the partition and has the handler handle the opening of the hotel."""
    await ledgers.start()
    try:
        await BillingEventHandler(ledgers).handle([OPENED])
    finally:
        await ledgers.stop()


def test_an_event_is_handled_once_its_ledger_has_it_on_disk(ledgers: Partition) -> None:
    asyncio.run(handle_opened(ledgers))
    assert ledgers.position == 1


def test_an_event_waits_while_the_ledgers_cannot_answer(ledgers: Partition) -> None:
    with pytest.raises(Stalled, match="the partition is not running"):
        asyncio.run(BillingEventHandler(ledgers).handle([OPENED]))


def test_an_event_that_makes_its_ledger_fail_is_reported(ledgers: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr("innkeeper.actors.billing.ledger.decide", fail)
    with pytest.raises(RuntimeError, match="the ledger refused an event of reservations"):
        asyncio.run(handle_opened(ledgers))
    assert ledgers.position == 0


def test_a_refusal_says_to_other_processes_that_its_hotel_failed() -> None:
    refusal = Unavailable("the hotel had a fault and was rebuilt", hotel_failed=True)
    assert wire.decode(wire.encode(refusal)) == refusal
