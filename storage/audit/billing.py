"""The auditor of billing, which reads a whole journal and computes its sums again, without the rules of billing (P8).

It uses no sum of the events: it adds up charges and payments itself, and keeps each line as it was posted, to check
that no later event contradicts it. It is slow and simple on purpose.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from innkeeper.protocol.billing import events
from innkeeper.protocol.billing.folio import FolioLine, LineKind, ReversalReason
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.messages.recorded_event import RecordedEvent, number_of
from innkeeper.protocol.values.contexts import DELIVERY, RESERVATIONS

Key = tuple[str, int]
"""A folio: its booking, and its number within the booking."""


@dataclass(slots=True)
class LedgerRecord:
    """One hotel's books so far: the charges and payments of each folio, and every line as it was posted. `applied` is
    the number of the last event of reservations that had an effect; `given_up` are bookings that these have lost."""

    hotel: str
    seq: int = 0
    applied: int = 0
    folios: Counter[str] = field(default_factory=Counter)
    charges: Counter[Key] = field(default_factory=Counter)
    payments: Counter[Key] = field(default_factory=Counter)
    posted: dict[Key, list[FolioLine]] = field(default_factory=dict)
    lines: dict[int, tuple[Key, FolioLine]] = field(default_factory=dict)
    reversals: dict[int, int] = field(default_factory=dict)
    nights: Counter[tuple[str, date]] = field(default_factory=Counter)
    taxes: Counter[str] = field(default_factory=Counter)
    captured: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)
    requested: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    chargebacks: dict[tuple[str, str], int] = field(default_factory=dict)
    on_document: dict[int, str] = field(default_factory=dict)
    documents: Counter[type] = field(default_factory=Counter)
    given_up: set[str] = field(default_factory=set)


class BillingAuditor:
    """Checks events in order; `violations` describes what is wrong."""

    def __init__(self) -> None:
        self.hotels: dict[str, LedgerRecord] = {}
        self.events = 0
        self.violations: list[str] = []
        self._moved: list[tuple[LedgerRecord, FolioLine]] = []

    def handle(self, records: Iterable[RecordedEvent]) -> None:
        """Checks the next events, in the journal's order, up to the last event of a command."""
        for record in records:
            self._check(record)
        for books, back in self._moved:
            self._check_moved(books, back)
        self._moved.clear()

    def _check(self, record: RecordedEvent) -> None:
        self.events += 1
        books = self.hotels.setdefault(record.hotel, LedgerRecord(record.hotel))
        self._expect(books, record.hotel_seq == books.seq + 1, f"event {record.hotel_seq} follows event {books.seq}")
        books.seq = record.hotel_seq
        event = record.event
        books.applied = max(books.applied, number_of(record.cause, record.hotel) or 0)
        rule = BILLING_AUDIT[type(event)]
        if rule is not None:
            rule(self, books, event)

    def folio_opened(self, books: LedgerRecord, event: events.FolioOpened) -> None:
        """Begins the lines of a folio."""
        books.folios[event.booking] += 1
        books.posted[event.booking, event.folio] = []

    def timeline_begun(self, books: LedgerRecord, event: events.LedgerTimelineBegun) -> None:
        """Notes from where the ledger follows the hotel, and after which numbers its documents continue."""
        books.applied = event.after
        books.documents |= Counter({events.InvoiceIssued: event.invoices, events.CreditNoteIssued: event.credit_notes})

    def bookings_lost(self, books: LedgerRecord, event: events.LedgerBookingsLost) -> None:
        """Notes the bookings that reservations have lost, and checks that nothing is charged for them any more."""
        books.given_up |= {*event.bookings}
        for (booking, folio), charged in books.charges.items():
            self._expect(
                books, charged == 0 or booking not in event.bookings, f"{booking}/{folio} is lost, but charged"
            )

    def charge_posted(self, books: LedgerRecord, event: events.ChargePosted) -> None:
        """Checks a new charge."""
        self._charged(books, (event.booking, event.folio), event.line)

    def charge_reversed(self, books: LedgerRecord, event: events.ChargeReversed) -> None:
        """Checks that a reversal is the opposite of its charge."""
        self._reversed(books, (event.booking, event.folio), event.line)
        night = event.line.night
        if event.reason_code is ReversalReason.CHECK_OUT_UNDONE and night is not None:  # it is charged once more
            booking, line = event.booking, books.lines[event.line.reverses or 0][1]
            while line.moved_from is not None:
                booking, line = line.moved_from.booking, books.lines[line.moved_from.line][1]
            books.nights.pop((booking, night), None)

    def payment_recorded(self, books: LedgerRecord, event: events.PaymentRecorded) -> None:
        """Checks that a payment is captured once."""
        self._expect(books, event.payment not in books.captured, f"payment {event.payment} was captured twice")
        self._paid(books, event, LineKind.PAYMENT, event.line)

    def operation_requested(self, books: LedgerRecord, event: events.PaymentOperationRequested) -> None:
        """Notes what a provider is asked for, which moves no money."""
        asked, key = event.operation, (event.payment, event.operation.number)
        self._expect(books, key not in books.requested, f"operation {asked.number} of {event.payment} was asked twice")
        books.requested[key] = (asked.action.value, asked.amount)

    def operation_refused(self, books: LedgerRecord, event: events.PaymentOperationRefused) -> None:
        """Checks that what was refused had been asked for."""
        known = (event.payment, event.operation) in books.requested
        self._expect(books, known, f"an operation of {event.payment} was refused that was never asked for")

    def payment_refunded(self, books: LedgerRecord, event: events.PaymentRefunded) -> None:
        """Checks a refund: one that was asked for is made once, and of the amount that was asked for."""
        if event.operation is not None:
            asked = books.requested.pop((event.payment, event.operation), None)
            once = asked == ("refund", event.line.amount)
            self._expect(books, once, f"payment {event.payment} was refunded without, or unlike, what was asked for")
        self._paid(books, event, LineKind.REFUND, event.line)
        left = books.captured[event.payment]
        self._expect(books, left >= 0, f"payment {event.payment} was refunded above its captured amount")

    def charged_back(self, books: LedgerRecord, event: events.PaymentChargedBack) -> None:
        """Checks that a chargeback takes the money back once, and never before it was captured."""
        key = (event.payment, event.chargeback)
        self._expect(books, key not in books.chargebacks, f"chargeback {event.chargeback} was taken twice")
        self._expect(books, event.payment in books.captured, f"{event.payment} was charged back, but never captured")
        books.chargebacks[key] = event.line.amount
        self._moved_money(books, event, LineKind.CHARGEBACK, event.line)

    def chargeback_closed(self, books: LedgerRecord, event: events.PaymentChargebackClosed) -> None:
        """Checks that a chargeback that the hotel won gives back what it took, once; one that it lost gives nothing."""
        taken = books.chargebacks.get((event.payment, event.chargeback), 0)
        given = -event.line.amount if event.line is not None else 0
        self._expect(
            books, given == (taken if event.won else 0), f"chargeback {event.chargeback} took {taken}, and gave {given}"
        )
        if event.line is not None:
            books.chargebacks[event.payment, event.chargeback] = 0
            self._moved_money(books, event, LineKind.PAYMENT, event.line)

    def payment_returned(self, books: LedgerRecord, event: events.PaymentReturned) -> None:
        """Checks that a bank returns what was captured, once."""
        once = event.payment in books.captured and event.payment not in books.returned
        self._expect(books, once, f"payment {event.payment} was returned twice, or never captured")
        books.returned[event.payment] += event.line.amount
        self._moved_money(books, event, LineKind.RETURN, event.line)

    def booking_paid(self, books: LedgerRecord, event: events.BookingPaid) -> None:
        """Checks that the booking is paid in full."""
        folios = [(event.booking, number) for number in range(1, books.folios[event.booking] + 1)]
        charged, paid = (sum(sums[folio] for folio in folios) for sums in (books.charges, books.payments))
        self._expect(books, charged == paid == event.amount, f"booking {event.booking} is not paid in full")

    def _expect(self, books: LedgerRecord, condition: bool, violation: str) -> None:
        if not condition:
            self.violations.append(f"{books.hotel}: {violation} (P8)")

    def _post(self, books: LedgerRecord, key: Key, line: FolioLine) -> None:
        self._expect(books, line.id not in books.lines, f"line {line.id} was posted twice")
        self._expect(books, (line.reversed_by, line.invoice) == (None, None), f"line {line.id} was posted with marks")
        books.lines[line.id] = (key, line)
        books.posted.setdefault(key, []).append(line)

    def _charged(self, books: LedgerRecord, key: Key, line: FolioLine) -> None:
        known = line.kind is LineKind.CHARGE or (line.kind is LineKind.DISCOUNT and line.amount < 0)
        self._expect(books, known, f"line {line.id} is neither a charge nor a discount")
        self._expect(books, abs(line.amount) >= abs(line.tax), f"line {line.id} has taxes above its amount")
        self._post(books, key, line)
        books.charges[key] += line.amount
        for tax in line.taxes:
            books.taxes[tax.code] += tax.amount
        if line.moved_from is not None:
            back = books.lines.get(books.reversals.get(line.moved_from.line, 0))
            left = back is not None and line.id in [place.line for place in back[1].moved_to]
            self._expect(books, left, f"line {line.id} was not moved from the line that it names")
        elif line.night is not None:
            books.nights[key[0], line.night] += 1
            once = books.nights[key[0], line.night] == 1
            self._expect(books, once, f"booking {key[0]} was charged twice for the night of {line.night}")

    def _reversed(self, books: LedgerRecord, key: Key, line: FolioLine) -> None:
        where, was = books.lines.get(line.reverses or 0, (None, None))
        if line.kind is not LineKind.REVERSAL or was is None:
            self._expect(books, False, f"line {line.id} reverses nothing")
            return
        self._expect(books, was.id not in books.reversals, f"line {was.id} was reversed twice")
        same = (where, was.kind, was.charge, -was.amount, [(tax.code, -tax.amount) for tax in was.taxes])
        back = (
            key,
            LineKind.DISCOUNT if line.amount > 0 else LineKind.CHARGE,
            line.charge,
            line.amount,
            [(tax.code, tax.amount) for tax in line.taxes],
        )
        self._expect(books, same == back, f"line {line.id} is not the opposite of line {was.id}")
        self._post(books, key, line)
        books.reversals[was.id] = line.id
        books.charges[key] += line.amount
        for tax in line.taxes:
            books.taxes[tax.code] += tax.amount
        if line.moved_to:
            self._moved.append((books, line))

    def _check_moved(self, books: LedgerRecord, back: FolioLine) -> None:
        """Checks that the lines of a moved or split charge have its amount, and the amount of each of its taxes."""
        parts = [books.lines[place.line] for place in back.moved_to if place.line in books.lines]
        arrived = [key for key, _ in parts] == [(place.booking, place.folio) for place in back.moved_to]
        self._expect(books, arrived, f"line {back.reverses} is not on the folio to which it was moved")
        whole = [sum(part.amount for _, part in parts)]
        whole += [sum(part.taxes[number].amount for _, part in parts) for number in range(len(back.taxes))]
        self._expect(
            books, whole == [-back.amount, *(-tax.amount for tax in back.taxes)], f"line {back.reverses} lost a part"
        )

    def _paid(self, books: LedgerRecord, event: events.PaymentEvent, kind: LineKind, line: FolioLine) -> None:
        books.captured[event.payment] -= line.amount
        self._moved_money(books, event, kind, line)

    def _moved_money(self, books: LedgerRecord, event: events.PaymentEvent, kind: LineKind, line: FolioLine) -> None:
        """Money that has moved: only a line of its kind, and of its sign, says so."""
        known = line.kind is kind and line.payment == event.payment
        self._expect(
            books, known and (line.amount < 0) == (kind is LineKind.PAYMENT), f"line {line.id} is not a {kind.value}"
        )
        key = (event.booking, event.folio)
        self._post(books, key, line)
        books.payments[key] -= line.amount

    def document_issued(self, books: LedgerRecord, event: events.InvoiceIssued | events.CreditNoteIssued) -> None:
        """Checks the number, the lines and the sums of a document."""
        books.documents[type(event)] += 1
        number = re.search(r"[0-9]*$", event.number)
        gapless = number is not None and number[0] == str(books.documents[type(event)])
        self._expect(books, gapless, f"{event.number} is not the next number of its kind")
        for line in event.lines:
            where, posted = books.lines.get(line.id, (None, None))
            same = posted is not None and (posted.amount, posted.taxes) == (line.amount, line.taxes)
            self._expect(
                books, same and where == (event.booking, event.folio), f"{event.number} changes line {line.id}"
            )
            once = books.on_document.setdefault(line.id, event.number) == event.number
            self._expect(books, once, f"line {line.id} is on {event.number} and on another document")
        taxes, total = sum(line.tax for line in event.lines), sum(line.amount for line in event.lines)
        sums = (event.total, event.net, sum(each.tax for each in event.totals))
        self._expect(
            books, bool(event.lines) and sums == (total, total - taxes, taxes), f"{event.number} does not add up"
        )


BILLING_AUDIT = EventTable[Callable[[BillingAuditor, LedgerRecord, Any], None]](
    "the auditor of billing",
    handles={
        events.FolioOpened: BillingAuditor.folio_opened,
        events.ChargePosted: BillingAuditor.charge_posted,
        events.ChargeReversed: BillingAuditor.charge_reversed,
        events.PaymentOperationRequested: BillingAuditor.operation_requested,
        events.PaymentOperationRefused: BillingAuditor.operation_refused,
        events.PaymentRecorded: BillingAuditor.payment_recorded,
        events.PaymentRefunded: BillingAuditor.payment_refunded,
        events.PaymentChargedBack: BillingAuditor.charged_back,
        events.PaymentChargebackClosed: BillingAuditor.chargeback_closed,
        events.PaymentReturned: BillingAuditor.payment_returned,
        events.BookingPaid: BillingAuditor.booking_paid,
        events.InvoiceIssued: BillingAuditor.document_issued,
        events.CreditNoteIssued: BillingAuditor.document_issued,
        events.LedgerTimelineBegun: BillingAuditor.timeline_begun,
        events.LedgerBookingsLost: BillingAuditor.bookings_lost,
    },
    ignores=(
        events.LedgerOpened, events.LedgerDayOpened, events.LedgerTermsOfSaleChanged,
        events.LedgerRenamed, events.BillingTermsChanged,
        events.FolioTermsChanged,
        events.BuyerChanged, events.LedgerGuestForgotten, events.PaymentStarted, events.PaymentAuthorised,
        events.PaymentActionRequired, events.PaymentFailed, events.PaymentVoided, events.PaymentNewsKept,
    ),
    not_followed=(RESERVATIONS, DELIVERY),
)  # fmt: skip
