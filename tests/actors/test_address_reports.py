"""Reports about addresses: they wait while reservations cannot answer; one at which its hotel fails concerns the hotel
alone."""

import asyncio
from itertools import count
from pathlib import Path

import pytest
from innkeeper.actors.notifications.address_reports import reporting_to
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.reservations.rules.decisions import Decision, decide
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.ports.outbox import AddressReport
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.reservations.commands import OpenHotel, ReportAddress
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.actor_systems import open_actor_system
from support.partition_fixture import HOTEL, HOTEL_TYPE, NOON, hotel_request

REPORT = AddressReport("n-1", HOTEL, "g-1", "b-1", "ann@example.com", "confirmation", "550 5.1.1")


async def report(path: Path, is_running: bool = True) -> None:
    """Reports to a partition of reservations, which may not be started yet."""
    ids = (f"id-{number}" for number in count())
    partition = Partition(
        lambda: Host(SqliteJournal(path), lambda: NOON, lambda: next(ids), HOTEL_TYPE, open_actor_system),
        lambda: NOON,
        RESERVATIONS,
    )
    if not is_running:
        await reporting_to(partition)(REPORT)
        return
    await partition.start()
    try:
        await partition.ask(Envelope(OpenHotel(HOTEL, hotel_request())))
        await reporting_to(partition)(REPORT)
    finally:
        await partition.stop()


def test_a_report_waits_while_reservations_cannot_answer(tmp_path: Path) -> None:
    with pytest.raises(Stalled, match="the partition is not running"):
        asyncio.run(report(tmp_path / "journal.db", is_running=False))


def test_a_report_at_which_its_hotel_fails_stalls_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(state: HotelState, envelope: Envelope) -> Decision:
        if isinstance(envelope.message, ReportAddress):
            raise ZeroDivisionError
        return decide(state, envelope)

    monkeypatch.setattr("innkeeper.actors.reservations.hotel.decide", fail)
    with pytest.raises(Refused, match="hotel_failed=True"):
        asyncio.run(report(tmp_path / "journal.db"))


def test_a_report_about_an_unknown_guest_is_over(tmp_path: Path) -> None:
    asyncio.run(report(tmp_path / "journal.db"))
