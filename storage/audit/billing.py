"""The auditor of billing, which reads a whole journal and computes its sums again, without billing's rules (P8, P10).

It uses no sum of the events: it adds up charges and payments itself, and keeps each line as it was posted, to check
that no later event contradicts it. It is slow and simple on purpose.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from innkeeper.protocol.billing import events
from innkeeper.protocol.billing.folio import DocumentKind, DocumentLine, FolioLine, LineKind, ReversalReason, StayTerms
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.messages.recorded_event import RecordedEvent, number_of
from innkeeper.protocol.values.contexts import DELIVERY, RESERVATIONS
from innkeeper.protocol.values.taxes import TaxAmount
from innkeeper.storage.audit.ledger_record import Key, LedgerRecord
from msgspec.structs import replace


class BillingAuditor:
    """Checks events in order; `violations` describes what is wrong."""

    def __init__(self) -> None:
        self.hotels: dict[str, LedgerRecord] = {}
        self.events = 0
        self.violations: list[str] = []
        self._moved: list[tuple[LedgerRecord, FolioLine]] = []
        self._left: dict[tuple[str, str], LedgerRecord] = {}

    def handle(self, records: Iterable[RecordedEvent]) -> None:
        """Checks the next events, in the journal's order, up to the last event of a command."""
        for record in records:
            self._check(record)
        for books, back in self._moved:
            self._check_moved(books, back)
        self._moved.clear()
        for (_, booking), books in self._left.items():
            self._check_left(books, booking)
        self._left.clear()

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
        if event.stay is not None:
            self._quoted(books, event.booking, event.stay)

    def stay_changed(self, books: LedgerRecord, event: events.FolioTermsChanged) -> None:
        """Notes the price of a stay; all its nights are charged when the guest has left, and has not come back, and
        none when the check-in is undone."""
        self._quoted(books, event.booking, event.stay)
        self._left.pop((books.hotel, event.booking), None)
        if books.note_status(event.booking, event.stay.status):
            self._left[books.hotel, event.booking] = books

    def day_opened(self, books: LedgerRecord, event: events.LedgerOpened | events.LedgerDayOpened) -> None:
        """Notes the business date."""
        books.today = event.business_date

    def _quoted(self, books: LedgerRecord, booking: str, stay: StayTerms) -> None:
        """Checks that each night's price and its added taxes are its total."""
        books.quoted[booking] = {line.night: (line.total, line.taxes) for line in stay.lines}
        for line in stay.lines:
            total = line.amount + sum(tax.amount for tax in line.taxes if not tax.included)
            self._expect(books, line.total == total, f"{booking} is quoted a wrong total for {line.night}", "P10")

    def _check_left(self, books: LedgerRecord, booking: str) -> None:
        """Checks that a guest who has left was charged all nights of the stay and no other, and one who never arrived
        none (P10)."""
        if booking in books.departed:
            missing = [night for night in books.quoted[booking] if not books.nights[booking, night]]
            self._expect(books, not missing, f"booking {booking} has left, and was not charged for {missing}", "P10")
        else:
            kept = books.nights_kept(booking)
            self._expect(books, not kept, f"booking {booking} has not arrived, and is charged for {kept}", "P10")

    def timeline_begun(self, books: LedgerRecord, event: events.LedgerTimelineBegun) -> None:
        """Notes from where the ledger follows the hotel, and after which numbers its documents continue."""
        books.applied = event.after
        books.documents |= Counter({(each.kind, each.series): each.number for each in event.issued})

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
        failed = books.has_failed(event.payment, event.reference)
        self._expect(books, not failed, f"refund {event.reference} counts, but had failed")
        books.note_refund(event.payment, event.reference, event.operation, event.line.amount)
        self._paid(books, event, LineKind.REFUND, event.line)
        left = books.captured[event.payment]
        self._expect(books, left >= 0, f"payment {event.payment} was refunded above its captured amount")

    def refund_failed(self, books: LedgerRecord, event: events.PaymentRefundFailed) -> None:
        """Checks that a refund that failed gives back what it took, once, and that one that never counted gives
        nothing."""
        given = 0 if event.line is None else -event.line.amount
        twice = books.has_failed(event.payment, event.reference)
        self._expect(books, not twice, f"refund {event.reference} failed twice")
        taken = books.take_refund(event.payment, event.reference, event.operation)
        self._expect(books, taken == given, f"refund {event.reference} took {taken}, and gave back {given}")
        if event.operation is not None and event.line is None:
            books.requested.pop((event.payment, event.operation), None)
        if event.line is not None:
            self._paid(books, event, LineKind.PAYMENT, event.line)

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

    def payment_moved(self, books: LedgerRecord, event: events.PaymentMoved) -> None:
        """Checks that a payment leaves a folio as it arrives on another."""
        here, there = (event.booking, event.folio), (event.to.booking, event.to.folio)
        same = event.line.amount == -event.moved.amount > 0 and event.to.line == event.moved.id
        of_payment = event.line.payment == event.moved.payment == event.payment
        kinds = event.line.kind is event.moved.kind is LineKind.TRANSFER
        self._expect(books, same and of_payment and kinds, f"payment {event.payment} is not moved as it was")
        on_folio = -sum(line.amount for line in books.posted.get(here, []) if line.payment == event.payment)
        self._expect(books, on_folio == event.line.amount, f"payment {event.payment} is moved from where it is not")
        for key, line in ((here, event.line), (there, event.moved)):
            self._post(books, key, line)
            books.payments[key] -= line.amount

    def booking_paid(self, books: LedgerRecord, event: events.BookingPaid) -> None:
        """Checks that the booking is paid in full."""
        folios = [(event.booking, number) for number in range(1, books.folios[event.booking] + 1)]
        charged, paid = (sum(sums[folio] for folio in folios) for sums in (books.charges, books.payments))
        self._expect(books, charged == paid == event.amount, f"booking {event.booking} is not paid in full")

    def _expect(self, books: LedgerRecord, condition: bool, violation: str, promise: str = "P8") -> None:
        if not condition:
            self.violations.append(f"{books.hotel}: {violation} ({promise})")

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
            quoted = books.quoted[key[0]].get(line.night) == (line.amount, line.taxes)
            self._expect(books, quoted, f"{key[0]} is charged another price for {line.night} than quoted", "P10")
        wrong = books.wrong_taxes(key, line) if line.moved_from is None else ()
        self._expect(books, not wrong, f"line {line.id}: {wrong} is not the rate of what is charged", "P10")

    def _reversed(self, books: LedgerRecord, key: Key, line: FolioLine) -> None:
        where, was = books.lines.get(line.reverses or 0, (None, None))
        if line.kind is not LineKind.REVERSAL or was is None:
            self._expect(books, False, f"line {line.id} reverses nothing")
            return
        self._expect(books, was.id not in books.reversals, f"line {was.id} was reversed twice")
        known = (where, was.kind, was.charge, [(tax.code, tax.rate) for tax in was.taxes])
        kind = LineKind.DISCOUNT if line.amount > 0 else LineKind.CHARGE
        back = (key, kind, line.charge, [(tax.code, tax.rate) for tax in line.taxes])
        self._expect(books, known == back, f"line {line.id} is not the opposite of line {was.id}")
        left = books.left.get(was.id, [was.amount, *(tax.amount for tax in was.taxes)])
        left = [*map(sum, zip(left, [line.amount, *(tax.amount for tax in line.taxes)], strict=True))]
        in_part = line.reason_code is ReversalReason.CREDITED and was.id in books.on_document
        possible = not any(left) or (in_part and left[0] > 0 and not line.moved_to)
        self._expect(books, possible, f"line {line.id} is not the opposite of line {was.id}")
        books.left[was.id] = left
        self._post(books, key, line)
        if not any(left):
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

    def invoice_issued(self, books: LedgerRecord, event: events.InvoiceIssued) -> None:
        """Checks an invoice."""
        self._document(books, event, DocumentKind.INVOICE)

    def deposit_invoice_issued(self, books: LedgerRecord, event: events.DepositInvoiceIssued) -> None:
        """Checks a deposit invoice, and keeps its lines, which a final invoice takes off once."""
        self._document(books, event, DocumentKind.INVOICE)
        books.deposits[event.number] = [(line.amount, line.taxes) for line in event.lines]

    def credit_note_issued(self, books: LedgerRecord, event: events.CreditNoteIssued) -> None:
        """Checks a credit note."""
        self._document(books, event, DocumentKind.CREDIT_NOTE)
        known = event.credits is None or event.credits in books.printed
        self._expect(books, known, f"{event.number} credits {event.credits}, which was not issued")
        self._expect(books, event.total < 0 or event.credits is not None, f"{event.number} credits nothing")

    def _document(self, books: LedgerRecord, event: events.DocumentEvent, kind: DocumentKind) -> None:
        """Checks the number, the seller, the lines and the sums of a document."""
        books.documents[kind, event.series] += 1
        number = re.search(r"[0-9]*$", event.number)
        gapless = number is not None and number[0] == str(books.documents[kind, event.series])
        self._expect(books, gapless, f"{event.number} is not the next number of its kind")
        self._expect(books, event.number not in books.printed, f"{event.number} was issued twice")
        seller = event.seller
        demanded = (seller.name, seller.address, seller.city, seller.country, seller.tax_number or seller.vat_id)
        self._expect(books, all(demanded), f"{event.number} lacks the seller's address or tax number")
        books.printed[event.number] = [line.line for line in event.lines]
        for line in event.lines:
            if line.line is not None:
                self._printed(books, event, line, line.line)
        self._settled(books, event)
        taxes, total = sum(line.tax for line in event.lines), sum(line.amount for line in event.lines)
        sums = (event.total, event.net, sum(each.tax for each in event.totals))
        self._expect(
            books, bool(event.lines) and sums == (total, total - taxes, taxes), f"{event.number} does not add up"
        )
        self._check_totals(books, event)

    def _printed(self, books: LedgerRecord, event: events.DocumentEvent, line: DocumentLine, number: int) -> None:
        """Checks that a line of a document is that of the folio, and names the line that it corrects."""
        where, posted = books.lines.get(number, (None, None))
        if posted is None or where != (event.booking, event.folio):
            self._expect(books, False, f"{event.number} changes line {number}")
            return
        quantity = -posted.quantity if posted.kind is LineKind.REVERSAL else posted.quantity
        same = (posted.amount, posted.taxes, quantity, posted.night) == (
            line.amount, line.taxes, line.quantity, line.night,
        )  # fmt: skip
        self._expect(books, same, f"{event.number} changes line {number}")
        once = books.on_document.setdefault(number, event.number) == event.number
        self._expect(books, once, f"line {number} is on {event.number} and on another document")
        invoice = books.on_document.get(posted.reverses or 0)
        named = None if line.corrects is None else (line.corrects.invoice, line.corrects.position)
        right = None if invoice is None else (invoice, books.printed[invoice].index(posted.reverses) + 1)
        if invoice == event.number:
            right = named  # both are on this document
        self._expect(books, named == right, f"{event.number} does not name the line that line {number} corrects")

    def _settled(self, books: LedgerRecord, event: events.DocumentEvent) -> None:
        """Checks that a deposit is taken off as it was invoiced, once, or given back as it was taken off."""
        taken: dict[str, list[tuple[int, tuple[TaxAmount, ...]]]] = {}
        for line in event.lines:
            if line.deposit_invoice is not None:
                sign = -1 if line.amount < 0 else 1
                taxes = tuple(replace(tax, amount=sign * tax.amount, base=sign * tax.base) for tax in line.taxes)
                taken.setdefault(line.deposit_invoice, []).append((sign * line.amount, taxes))
                books.settled[line.deposit_invoice] -= sign
        for number, lines in taken.items():
            self._expect(books, lines == books.deposits.get(number), f"{event.number} changes the deposit of {number}")
            of_lines = len(books.deposits.get(number, ()))
            self._expect(books, books.settled[number] in (0, of_lines), f"the deposit of {number} is settled twice")

    def _check_totals(self, books: LedgerRecord, event: events.DocumentEvent) -> None:
        """Checks the sums of each tax and rate."""
        of_rate: dict[tuple[str, int], tuple[int, int]] = {}
        for line in event.lines:
            for tax in line.taxes:
                base, amount = of_rate.get((tax.code, tax.rate), (0, 0))
                of_rate[tax.code, tax.rate] = base + tax.base, amount + tax.amount
        for (code, rate), sums in of_rate.items():
            rows = [(row.net, row.tax) for row in event.totals if (row.code, row.rate) == (code, rate)]
            summed = (sum(net for net, _ in rows), sum(tax for _, tax in rows))
            self._expect(books, summed == sums, f"{event.number} has a wrong total of {code}")


BILLING_AUDIT = EventTable[Callable[[BillingAuditor, LedgerRecord, Any], None]](
    "the auditor of billing",
    handles={
        events.LedgerOpened: BillingAuditor.day_opened,
        events.LedgerDayOpened: BillingAuditor.day_opened,
        events.FolioOpened: BillingAuditor.folio_opened,
        events.FolioTermsChanged: BillingAuditor.stay_changed,
        events.ChargePosted: BillingAuditor.charge_posted,
        events.ChargeReversed: BillingAuditor.charge_reversed,
        events.PaymentOperationRequested: BillingAuditor.operation_requested,
        events.PaymentOperationRefused: BillingAuditor.operation_refused,
        events.PaymentRecorded: BillingAuditor.payment_recorded,
        events.PaymentRefunded: BillingAuditor.payment_refunded,
        events.PaymentRefundFailed: BillingAuditor.refund_failed,
        events.PaymentChargedBack: BillingAuditor.charged_back,
        events.PaymentChargebackClosed: BillingAuditor.chargeback_closed,
        events.PaymentReturned: BillingAuditor.payment_returned,
        events.PaymentMoved: BillingAuditor.payment_moved,
        events.BookingPaid: BillingAuditor.booking_paid,
        events.InvoiceIssued: BillingAuditor.invoice_issued,
        events.DepositInvoiceIssued: BillingAuditor.deposit_invoice_issued,
        events.CreditNoteIssued: BillingAuditor.credit_note_issued,
        events.LedgerTimelineBegun: BillingAuditor.timeline_begun,
        events.LedgerBookingsLost: BillingAuditor.bookings_lost,
    },
    ignores=(
        events.LedgerTermsOfSaleChanged, events.LedgerRenamed, events.BillingTermsChanged,
        events.BuyerChanged, events.LedgerGuestForgotten, events.PaymentStarted, events.PaymentAuthorised,
        events.PaymentActionRequired, events.PaymentFailed, events.PaymentVoided, events.PaymentNewsKept,
    ),
    not_followed=(RESERVATIONS, DELIVERY),
)  # fmt: skip
