"""Begins a new timeline in a data directory: the journals go on from where they end, differently than before."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import NamedTuple

from innkeeper.protocol.billing.events import LedgerTimelineBegun
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.archive import NOTHING_ARCHIVED, Archived
from innkeeper.protocol.reservations.events import GuestForgotten, TimelineBegun
from innkeeper.protocol.values.contexts import BILLING, DELIVERY, NOTIFICATIONS, RESERVATIONS, context_of, rank_of
from innkeeper.storage.audit.billing import BillingAuditor
from innkeeper.storage.audit.books import differences
from innkeeper.storage.audit.reservations import ReservationsAuditor
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.installation_file import write_new_timeline
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.journal_head import HeadFile
from innkeeper.storage.sqlite.outbox import withdraw_notices
from innkeeper.storage.sqlite.storage import SqliteStorage

_BY = "operator"


class Begun(NamedTuple):
    """The id of a timeline that was begun, where each journal ends now, a message for each thing that billing knows
    and reservations do not, or the other way round, and how many guests were forgotten again."""

    timeline: str
    positions: dict[str, int]
    lost: list[str]
    guests_forgotten: int


def begin_timeline(
    data: DataDirectory,
    clock: Callable[[], int],
    cause: str,
    forks: Mapping[str, int] | None = None,
    archived: Archived = NOTHING_ARCHIVED,
) -> Begun:
    """Begins a new timeline with the journals of this directory as they are, which nobody else uses: an event tells it
    to the subscribers of each hotel, and of its ledger. Billing follows a log of reservations again from its position
    in `forks`, where it has one. What is `archived` of what is lost is heeded: guests are forgotten again, also where
    their stays are not over, and no number of a document is given twice. The journals' heads are not written. Raises
    JournalError."""
    storage = SqliteStorage(data)
    hotels, ledgers = _audited(storage)
    timeline = write_new_timeline(data.path, data.installation()).timeline
    lost = _lost_bookings(hotels, ledgers)
    followed: dict[str, int] = {}
    positions = {}
    guests_forgotten = 0
    for log in sorted(storage.journals(), key=rank_of):  # those of reservations first, which billing follows
        with closing(storage.journal_as_found(log)) as journal:
            last: dict[str, RecordedEvent] = {}
            for position, record in journal.read():
                last[record.hotel] = record
                if position <= (forks or {}).get(log, position) and context_of(log) == RESERVATIONS:
                    followed[record.hotel] = record.hotel_seq
            begun: dict[str, list[Event]] = {}
            if context_of(log) == RESERVATIONS:
                begun = {hotel: [TimelineBegun(timeline, lost.get(hotel, ()))] for hotel in last}
                for stored in journal.newest_guests(archived.forgotten).values():
                    if stored.guest.details is not None:
                        begun[stored.hotel].append(GuestForgotten(stored.guest.id))
                        guests_forgotten += 1
            elif log == BILLING:
                after = {hotel: min(ledgers.hotels[hotel].applied, followed.get(hotel, 0)) for hotel in last}
                begun = {
                    hotel: [LedgerTimelineBegun(timeline, number, archived.documents.get(hotel, ()))]
                    for hotel, number in after.items()
                }
            at = max([clock(), *(record.at for record in last.values())])
            journal.begin_timeline(timeline)
            positions[log] = journal.write(
                [
                    RecordedEvent(hotel, number, at, _BY, "", cause, event)
                    for hotel, events in begun.items()
                    for number, event in enumerate(events, last[hotel].hotel_seq + 1)
                ],
                (),
            )
            journal.sync()
    if (outbox := data.service(NOTIFICATIONS)).exists():
        withdraw_notices(outbox, {booking for bookings in lost.values() for booking in bookings})
    return Begun(timeline, positions, [*differences(hotels.hotels, ledgers.hotels)], guests_forgotten)


def write_heads(data: DataDirectory) -> None:
    """Writes the head of each journal as it is now."""
    for path in data.journals().values():
        SqliteJournal(path, HeadFile(path, accepts=True)).close()


def _audited(storage: SqliteStorage) -> tuple[ReservationsAuditor, BillingAuditor]:
    """What all journals of reservations and that of billing say, each read once."""
    hotels, ledgers = ReservationsAuditor(), BillingAuditor()
    for log in storage.journals() - {DELIVERY}:
        with closing(storage.journal_as_found(log)) as journal:
            auditor: ReservationsAuditor | BillingAuditor = ledgers if log == BILLING else hotels
            auditor.handle(record for _, record in journal.read())
    return hotels, ledgers


def _lost_bookings(hotels: ReservationsAuditor, ledgers: BillingAuditor) -> dict[str, tuple[str, ...]]:
    """The bookings of each hotel that have folios, and that reservations do not have."""

    def of_hotel(hotel: str, known: Iterable[str]) -> tuple[str, ...]:
        there = hotels.hotels[hotel].bookings if hotel in hotels.hotels else {}
        return tuple(sorted({*known} - there.keys()))

    return {hotel: of_hotel(hotel, books.folios.keys() - books.given_up) for hotel, books in ledgers.hotels.items()}
