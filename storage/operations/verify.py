"""Verifies the promises over whole journals: the hash chain, the auditors' checks, and each snapshot."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.journal import Journal
from innkeeper.storage.audit.billing import BillingAuditor
from innkeeper.storage.audit.reservations import ReservationsAuditor
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.sqlite.journal import SqliteJournal

CheckSnapshots = Callable[[Journal], list[str]]
"""Checks that each snapshot is the fold of its events; returns a message for each that is not."""
ShowProgress = Callable[[Iterable[LogEntry], int], Iterable[LogEntry]]
"""Passes the events of a journal on, and shows how many of so many have passed."""


class VerificationReport(NamedTuple):
    """How many events and hotels were checked, and a message for each violation."""

    events: int
    hotels: int
    billing_events: int
    violations: list[str]


def verify(
    data: DataDirectory, check_hotels: CheckSnapshots, check_ledgers: CheckSnapshots, progress: ShowProgress
) -> VerificationReport:
    """Verifies all journals of a data directory, which is locked meanwhile. Raises DataUnusable and JournalError."""
    ledgers, violations = BillingAuditor(), list[str]()
    with data.lock():
        auditors = [ReservationsAuditor() for _ in range(data.partitions())]
        for number, auditor in enumerate(auditors):
            violations += _violations(data.journal(number), auditor, check_hotels, progress)
        if data.billing.exists():
            violations += _violations(data.billing, ledgers, check_ledgers, progress)
    events = sum(auditor.events for auditor in auditors)
    return VerificationReport(events, sum(len(auditor.hotels) for auditor in auditors), ledgers.events, violations)


def _violations(
    path: Path, auditor: ReservationsAuditor | BillingAuditor, check: CheckSnapshots, progress: ShowProgress
) -> list[str]:
    journal = SqliteJournal(path)
    try:
        auditor.handle(record for _, record in progress(journal.checked(), journal.position()))
        return auditor.violations + check(journal)
    finally:
        journal.close()
