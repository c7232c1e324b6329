"""Verifies the promises over whole journals: the hash chain, the auditors' checks, and each snapshot; and that no file
has seen of a journal what it does not have."""

from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Final, NamedTuple

from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.journal import Journal
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.values.contexts import BILLING, DELIVERY, RESERVATIONS, context_of
from innkeeper.storage.audit.billing import BillingAuditor
from innkeeper.storage.audit.books import differences
from innkeeper.storage.audit.reservations import ReservationsAuditor

CheckSnapshots = Callable[[Journal], list[str]]
"""Checks that each snapshot is the fold of its events; returns a message for each that is not."""
ShowProgress = Callable[[Iterable[LogEntry], int], Iterable[LogEntry]]
"""Passes the events of a journal on, and shows how many of so many have passed."""


GUESTS_AT_ONCE: Final = 1_000


class VerificationReport(NamedTuple):
    """How many events and hotels were checked, how many guests are forgotten, and a message for each violation."""

    events: int
    hotels: int
    guests_forgotten: int
    billing_events: int
    violations: list[str]


def verify(
    storage: Storage, check_hotels: CheckSnapshots, check_ledgers: CheckSnapshots, progress: ShowProgress
) -> VerificationReport:
    """Verifies all journals, which the caller has locked. Raises JournalError."""
    ledgers, violations = BillingAuditor(), [f"{difference} (P13)" for difference in storage.differences()]
    logs = sorted(log for log in storage.journals() if context_of(log) == RESERVATIONS)
    auditors = {log: ReservationsAuditor() for log in logs}
    for log, auditor in auditors.items():
        violations += _violations(storage.journal_as_found(log), auditor, check_hotels, progress)
        violations += _unforgotten(storage.journal_as_found(log), auditor)
    if BILLING in storage.journals():
        violations += _violations(storage.journal_as_found(BILLING), ledgers, check_ledgers, progress)
        hotels = {hotel: record for auditor in auditors.values() for hotel, record in auditor.hotels.items()}
        violations += differences(hotels, ledgers.hotels)
    if DELIVERY in storage.journals():
        with closing(storage.journal_as_found(DELIVERY)) as journal:
            for _ in progress(journal.read(), journal.position()):
                pass  # reading checks the chain
    events = sum(auditor.events for auditor in auditors.values())
    opened = sum(len(auditor.hotels) for auditor in auditors.values())
    forgotten = sum(len(hotel.forgotten) for auditor in auditors.values() for hotel in auditor.hotels.values())
    return VerificationReport(events, opened, forgotten, ledgers.events, violations)


def _violations(
    journal: Journal, auditor: ReservationsAuditor | BillingAuditor, check: CheckSnapshots, progress: ShowProgress
) -> list[str]:
    with closing(journal):
        auditor.handle(record for _, record in progress(journal.read(), journal.position()))
        while journal.check_guests(GUESTS_AT_ONCE):
            pass
        return auditor.violations + check(journal)


def _unforgotten(journal: Journal, auditor: ReservationsAuditor) -> list[str]:
    """A message for each forgotten guest whose details are still there."""
    with closing(journal):
        forgotten = [guest for hotel in auditor.hotels.values() for guest in sorted(hotel.forgotten)]
        parts = (forgotten[start : start + GUESTS_AT_ONCE] for start in range(0, len(forgotten), GUESTS_AT_ONCE))
        kept = sorted(guest for part in parts for guest in journal.guests_with_details(part))
        return [f"guest {guest} is forgotten, but has details (P13)" for guest in kept]
