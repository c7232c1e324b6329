"""Billing's handler of events: waits while its ledgers cannot answer, and reports an event that makes a ledger fail."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NoReturn

import pytest
from innkeeper.actors.billing.event_handler import BillingEventHandler
from innkeeper.actors.billing.router import LEDGER
from innkeeper.actors.billing.rules.decisions import decide
from innkeeper.actors.billing.rules.lookups import Decision
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.partition import Partition
from innkeeper.protocol.billing.commands import ApplyReservationEvent
from innkeeper.protocol.billing.events import LedgerRenamed
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.reservations.events import HotelChanged, HotelOpened
from innkeeper.protocol.reservations.terms import TermsOfSale
from innkeeper.protocol.values.contexts import BILLING
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.actor_systems import open_actor_system
from support.partition_fixture import HOTEL, NOON, TODAY

OPENED: LogEntry = 1, RecordedEvent(
    HOTEL, 1, NOON, "ann", "request-1", "command-1",
    HotelOpened("Seaside", "Europe/Lisbon", "EUR", "15:00", "11:00", "manual", TODAY, TermsOfSale()),
)  # fmt: skip


def renamed(hotel_seq: int, title: str) -> LogEntry:
    """The hotel has another name."""
    changed = HotelChanged(title, "15:00", "11:00", "manual", housekeeping=False, infants_below=0)
    return hotel_seq, RecordedEvent(HOTEL, hotel_seq, NOON, "ann", "request-1", f"command-{hotel_seq}", changed)


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


def test_an_event_that_fails_is_not_skipped_by_those_after_it(
    ledgers: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three that are sent together, the second fails once: it is applied later, and the third after it. One that is
    dropped at last does not hold up the next."""
    failing = {2, 4}
    recorded: list[RecordedEvent] = []

    def decide_or_fail(state: LedgerState, command: Command, envelope: Envelope) -> Decision:
        if isinstance(command, ApplyReservationEvent) and command.record.hotel_seq in failing:
            failing.discard(command.record.hotel_seq)
            raise ZeroDivisionError
        return decide(state, command, envelope)

    async def handle(*batches: Sequence[LogEntry]) -> None:
        await ledgers.start()
        ledgers.subscribe(lambda _, records: recorded.extend(records))
        try:
            for batch in batches:
                with suppress(RuntimeError):
                    await BillingEventHandler(ledgers).handle(batch)
        finally:
            await ledgers.stop()

    monkeypatch.setattr("innkeeper.actors.billing.ledger.decide", decide_or_fail)
    events = [OPENED, renamed(2, "Cliff"), renamed(3, "Dune"), renamed(4, "Bay"), renamed(5, "Cape")]
    asyncio.run(handle(events[:3], *([event] for event in events)))
    titles = [record.event.title for record in recorded if isinstance(record.event, LedgerRenamed)]
    assert titles == ["Cliff", "Dune", "Cape"]


def test_a_refusal_says_to_other_processes_that_its_hotel_failed() -> None:
    refusal = Unavailable("the hotel had a fault and was rebuilt", hotel_failed=True)
    assert wire.decode(wire.encode(refusal)) == refusal
