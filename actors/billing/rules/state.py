"""The state of a hotel's ledger, and its change by events.

The values are frozen, and a changed bill replaces the old one; only the tables that hold the values are changed in
place, by `evolve` alone. Bills are never removed: a payment or a correction can come long after the stay.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import msgspec
from innkeeper.actors.billing.rules.double_entry import entries
from innkeeper.actors.billing.rules.payment_fold import payment_after
from innkeeper.protocol.billing import events
from innkeeper.protocol.billing.folio import (
    Bill,
    DocumentKind,
    Folio,
    FolioLine,
    Invoice,
    LedgerDetails,
)
from innkeeper.protocol.billing.payment import Payment
from innkeeper.protocol.billing.terms import BillingTerms, Party
from innkeeper.protocol.billing.transitions import PAYMENT_TRANSITIONS
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.messages.recorded_event import RecordedEvent, number_of
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.reservations.transitions import NOT_ENDED
from innkeeper.protocol.values.contexts import DELIVERY, RESERVATIONS
from innkeeper.protocol.values.guests import bare
from innkeeper.protocol.values.taxes import ChargeKind

_replace = msgspec.structs.replace


@dataclass(slots=True)
class LedgerState:
    """One hotel's ledger. `applied_seq` is the sequence number of the last event of reservations that had an effect
    here; `owed_by_guests` are the bookings that have ended and for which something is owed, `owed_to_guests` those for
    which more was paid than all nights and charges cost; `payments` maps each payment to its booking, `numbers` each
    booking to those of its documents; `issued` are the highest numbers of each series of invoices and of credit
    notes."""

    ledger: LedgerDetails | None = None
    seq: int = 0
    applied_seq: int = 0
    lines_posted: int = 0
    bills: dict[str, Bill] = field(default_factory=dict)
    in_house: set[str] = field(default_factory=set)
    owed_by_guests: set[str] = field(default_factory=set)
    owed_to_guests: set[str] = field(default_factory=set)
    payments: dict[str, str] = field(default_factory=dict)
    documents: dict[str, Invoice] = field(default_factory=dict)
    numbers: dict[str, list[str]] = field(default_factory=dict)
    issued: dict[tuple[DocumentKind, int], int] = field(default_factory=dict)
    accounts: dict[str, int] = field(default_factory=dict)

    def opened(self) -> LedgerDetails:
        """The ledger, which must be open."""
        assert self.ledger is not None
        return self.ledger

    def folio(self, booking: str, number: int) -> Folio:
        """A folio, which must exist."""
        return self.bills[booking].folios[number - 1]

    def payment(self, payment: str) -> Payment:
        """A payment, which must exist."""
        folios = self.bills[self.payments[payment]].folios
        return next(known for folio in folios for known in folio.payments if known.id == payment)

    def documents_of(self, booking: str) -> list[Invoice]:
        """The documents that were issued for a booking, in their order."""
        return [self.documents[number] for number in self.numbers.get(booking, ())]

    def prefixes(self) -> set[tuple[str, DocumentKind, int]]:
        """The prefixes of all numbers that were issued, with the kind and the series of each."""
        return {
            (re.sub(r"[0-9]+$", "", one.number), series_kind(one.kind), one.series) for one in self.documents.values()
        }


def series_kind(kind: DocumentKind) -> DocumentKind:
    """The kind whose series of numbers a document is in: deposit invoices are in that of invoices."""
    return DocumentKind.INVOICE if kind is DocumentKind.DEPOSIT_INVOICE else kind


def cause_seq(record: RecordedEvent) -> int | None:
    """The sequence number of the reservations' event that caused this event; None if a command caused it."""
    return number_of(record.cause, record.hotel)


def evolve(state: LedgerState, record: RecordedEvent) -> None:
    """Applies an event to the state."""
    event = record.event
    rule = LEDGER_FOLD[type(event)]
    state.seq = record.hotel_seq
    state.applied_seq = max(state.applied_seq, cause_seq(record) or 0)
    for account, amount, _ in entries(event):
        state.accounts[account] = state.accounts.get(account, 0) + amount
    if rule is not None:
        rule(state, record, event)
    if isinstance(event, BookingEvent):
        state.bills[event.booking] = _replace(state.bills[event.booking], version=state.seq)


def _opened(state: LedgerState, record: RecordedEvent, event: events.LedgerOpened) -> None:
    state.ledger = LedgerDetails(
        hotel=record.hotel,
        title=event.title,
        currency=event.currency,
        business_date=event.business_date,
        terms=BillingTerms(seller=Party(event.title)),
        terms_of_sale=(event.terms_of_sale,),
    )


def _timeline_begun(state: LedgerState, _: RecordedEvent, event: events.LedgerTimelineBegun) -> None:
    """Follows the hotel from there, also where events with higher numbers had effects before."""
    state.applied_seq = event.after
    for known in event.issued:
        series = known.kind, known.series
        state.issued[series] = max(state.issued.get(series, 0), known.number)


def _day_opened(state: LedgerState, _: RecordedEvent, event: events.LedgerDayOpened) -> None:
    state.ledger = _replace(state.opened(), business_date=event.business_date)


def _terms_of_sale_changed(state: LedgerState, _: RecordedEvent, event: events.LedgerTermsOfSaleChanged) -> None:
    ledger = state.opened()
    state.ledger = _replace(ledger, terms_of_sale=(*ledger.terms_of_sale, event.terms_of_sale))


def _renamed(state: LedgerState, _: RecordedEvent, event: events.LedgerRenamed) -> None:
    ledger = state.opened()
    terms = ledger.terms
    if terms.seller.name == ledger.title:
        terms = _replace(terms, seller=_replace(terms.seller, name=event.title))
    state.ledger = _replace(ledger, title=event.title, terms=terms, version=state.seq)


def _terms_changed(state: LedgerState, _: RecordedEvent, event: events.BillingTermsChanged) -> None:
    state.ledger = _replace(state.opened(), terms=event.terms, version=state.seq)


def _folio_opened(state: LedgerState, _: RecordedEvent, event: events.FolioOpened) -> None:
    bill = state.bills.get(event.booking)
    if bill is None:
        assert event.stay is not None
        bill = Bill(booking=event.booking, guest_id=event.buyer.id, stay=event.stay)
    folio = Folio(number=event.folio, buyer=event.buyer)
    keep_bill(state, _replace(bill, folios=(*bill.folios, folio)))


def _stay_changed(state: LedgerState, _: RecordedEvent, event: events.FolioTermsChanged) -> None:
    bill = state.bills[event.booking]
    posted_until = bill.posted_until
    is_back = bill.stay.status is BookingStatus.CHECKED_OUT and event.stay.status is BookingStatus.IN_HOUSE
    if posted_until is not None and is_back:  # nights that are not over are charged again, when they are
        posted_until = min(posted_until, state.opened().business_date)
    if bill.stay.status is BookingStatus.IN_HOUSE and event.stay.status is BookingStatus.CONFIRMED:
        posted_until = None  # the check-in was undone: all nights are charged when the guest comes after all
    keep_bill(state, _replace(bill, stay=event.stay, posted_until=posted_until))


def keep_bill(state: LedgerState, bill: Bill) -> None:
    """Keeps a bill, and what is known by it of the guests in house and of what is owed."""
    state.bills[bill.booking] = bill
    if bill.stay.status is BookingStatus.IN_HOUSE:
        state.in_house.add(bill.booking)
    else:
        state.in_house.discard(bill.booking)
    _note_owed(state, bill)


def _note_owed(state: LedgerState, bill: Bill) -> None:
    """Notes on which side something is owed. Before the end of the stay a guest owes only what is due then."""
    balance = bill.balance
    if balance > 0 and bill.stay.status not in NOT_ENDED:
        state.owed_by_guests.add(bill.booking)
    else:
        state.owed_by_guests.discard(bill.booking)
    if balance < 0 and bill.owed < 0:
        state.owed_to_guests.add(bill.booking)
    else:
        state.owed_to_guests.discard(bill.booking)


def _keep_posted_until(state: LedgerState, bill: Bill, posted_until: date) -> None:
    changed = state.bills[bill.booking] = _replace(bill, posted_until=posted_until)
    _note_owed(state, changed)


def _change_folio(state: LedgerState, event: events.FolioEvent, **change: Any) -> None:
    bill = state.bills[event.booking]
    folio = _replace(bill.folios[event.folio - 1], **change)
    folios = (*bill.folios[: event.folio - 1], folio, *bill.folios[event.folio :])
    changed = state.bills[event.booking] = _replace(bill, folios=folios)
    _note_owed(state, changed)


def _buyer_changed(state: LedgerState, _: RecordedEvent, event: events.BuyerChanged) -> None:
    _change_folio(state, event, buyer=event.buyer)


def _guest_forgotten(state: LedgerState, _: RecordedEvent, event: events.LedgerGuestForgotten) -> None:
    for bill in [bill for bill in state.bills.values() if bill.guest_id == event.guest]:
        state.bills[bill.booking] = _replace(bare(bill), version=state.seq)


def _posted(state: LedgerState, record: RecordedEvent, event: events.ChargePosted) -> None:
    line = event.line
    _add_line(state, event, line)
    if line.moved_from is not None:
        return
    bill = state.bills[event.booking]
    if line.night is not None:
        _keep_posted_until(state, bill, line.night + timedelta(days=1))
    elif line.charge is ChargeKind.FEE and cause_seq(record) is not None:
        state.bills[event.booking] = _replace(bill, fee=line.id)


def _reversed(state: LedgerState, _: RecordedEvent, event: events.ChargeReversed) -> None:
    _add_line(state, event, event.line)
    lines = state.folio(event.booking, event.folio).lines
    if not sum(line.amount for line in lines if event.line.reverses in (line.id, line.reverses)):
        _mark(state, event, {event.line.reverses}, reversed_by=event.line.id)


def _add_line(state: LedgerState, event: events.FolioEvent, line: FolioLine) -> None:
    folio = state.folio(event.booking, event.folio)
    charged = folio.charged + line.amount if line.is_charge else folio.charged
    _change_folio(state, event, lines=(*folio.lines, line), charged=charged, balance=folio.balance + line.amount)
    state.lines_posted = max(state.lines_posted, line.id)


def _mark(state: LedgerState, event: events.FolioEvent, lines: set[int | None], **mark: Any) -> None:
    folio = state.folio(event.booking, event.folio)
    marked = tuple(_replace(line, **mark) if line.id in lines else line for line in folio.lines)
    _change_folio(state, event, lines=marked)


def _payment_started(state: LedgerState, record: RecordedEvent, event: events.PaymentStarted) -> None:
    _keep_payment(state, event, _started(record, event))


def _started(record: RecordedEvent, event: events.PaymentStarted) -> Payment:
    made = _made(record, event, event.amount, event.capture)
    return _replace(made, token=event.token, for_hold=event.for_hold)


def _made(
    record: RecordedEvent, event: events.PaymentStarted | events.PaymentRecorded, amount: int, capture: bool
) -> Payment:
    return Payment(
        id=event.payment,
        folio=event.folio,
        method=event.method,
        status=PAYMENT_TRANSITIONS[None, type(event)],
        amount=amount,
        started_at=record.at,
        capture=capture,
    )


def _payment_recorded(state: LedgerState, record: RecordedEvent, event: events.PaymentRecorded) -> None:
    if event.payment in state.payments:
        _money_moved(state, record, event)
        return
    _add_line(state, event, event.line)
    captured = -event.line.amount
    by_hand = _made(record, event, captured, capture=True)
    _keep_payment(state, event, _replace(by_hand, captured=captured, reference=event.reference))


def _money_moved(state: LedgerState, record: RecordedEvent, event: Any) -> None:
    """Money has moved, but for a chargeback that was won before it was reported as opened, and a refund that has
    failed before it counted."""
    if event.line is not None:
        _add_line(state, event, event.line)
    _payment_changed(state, record, event)


def _payment_changed(state: LedgerState, _: RecordedEvent, event: events.PaymentEvent) -> None:
    _keep_payment(state, event, payment_after(state.payment(event.payment), event))


def _payment_moved(state: LedgerState, record: RecordedEvent, event: events.PaymentMoved) -> None:
    payment = state.payment(event.payment)
    there = events.PaymentMoved(event.to.booking, event.to.folio, event.payment, event.line, event.to, event.moved)
    _add_line(state, event, event.line)
    left = state.folio(event.booking, event.folio).payments
    _change_folio(state, event, payments=tuple(other for other in left if other.id != payment.id))
    _add_line(state, there, event.moved)
    del state.payments[payment.id]
    _keep_payment(state, there, _replace(payment, folio=event.to.folio))
    state.bills[event.to.booking] = _replace(state.bills[event.to.booking], version=state.seq)


def _keep_payment(state: LedgerState, event: events.FolioEvent, payment: Payment) -> None:
    others = state.folio(event.booking, event.folio).payments
    payment = _replace(payment, version=state.seq)
    if payment.id in state.payments:
        payments = tuple(payment if other.id == payment.id else other for other in others)
    else:
        payments = (*others, payment)
        state.payments[payment.id] = event.booking
    _change_folio(state, event, payments=payments)


def _invoice_issued(state: LedgerState, record: RecordedEvent, event: events.InvoiceIssued) -> None:
    _keep_document(state, record, event, DocumentKind.INVOICE, replaces=event.replaces)


def _deposit_invoice_issued(state: LedgerState, record: RecordedEvent, event: events.DepositInvoiceIssued) -> None:
    _keep_document(state, record, event, DocumentKind.DEPOSIT_INVOICE)


def _credit_note_issued(state: LedgerState, record: RecordedEvent, event: events.CreditNoteIssued) -> None:
    _keep_document(state, record, event, DocumentKind.CREDIT_NOTE, credits=event.credits, reason=event.reason)
    if event.credits is not None:
        credit_notes = (*state.documents[event.credits].credit_notes, event.number)
        _mark_document(state, event.credits, credit_notes=credit_notes)
        if event.whole:
            _mark_document(state, event.credits, credited_by=event.number)


def _keep_document(
    state: LedgerState, record: RecordedEvent, event: events.DocumentEvent, kind: DocumentKind, **more: Any
) -> None:
    fields = {name: getattr(event, name) for name in events.DocumentEvent.__struct_fields__}
    currency = state.opened().currency
    state.numbers.setdefault(event.booking, []).append(event.number)
    state.documents[event.number] = Invoice(kind=kind, issued_at=record.at, currency=currency, **fields, **more)
    series = series_kind(kind), event.series
    state.issued[series] = state.issued.get(series, 0) + 1
    _mark(state, event, {line.line for line in event.lines if line.line is not None}, invoice=event.number)
    for line in event.lines:
        if line.deposit_invoice is not None:
            _mark_document(state, line.deposit_invoice, settled_by=event.number if line.amount < 0 else None)


def _mark_document(state: LedgerState, number: str, **mark: Any) -> None:
    document = state.documents[number]
    state.documents[number] = _replace(document, version=document.version + 1, **mark)


LEDGER_FOLD = EventTable[Callable[[LedgerState, RecordedEvent, Any], None]](
    "the state of a ledger",
    handles={
        events.LedgerOpened: _opened,
        events.LedgerTimelineBegun: _timeline_begun,
        events.LedgerDayOpened: _day_opened,
        events.LedgerTermsOfSaleChanged: _terms_of_sale_changed,
        events.LedgerRenamed: _renamed,
        events.BillingTermsChanged: _terms_changed,
        events.FolioOpened: _folio_opened,
        events.FolioTermsChanged: _stay_changed,
        events.BuyerChanged: _buyer_changed,
        events.LedgerGuestForgotten: _guest_forgotten,
        events.ChargePosted: _posted,
        events.ChargeReversed: _reversed,
        events.PaymentStarted: _payment_started,
        events.PaymentActionRequired: _payment_changed,
        events.PaymentAuthorised: _payment_changed,
        events.PaymentOperationRequested: _payment_changed,
        events.PaymentOperationRefused: _payment_changed,
        events.PaymentRecorded: _payment_recorded,
        events.PaymentFailed: _payment_changed,
        events.PaymentVoided: _payment_changed,
        events.PaymentRefunded: _money_moved,
        events.PaymentRefundFailed: _money_moved,
        events.PaymentChargedBack: _money_moved,
        events.PaymentChargebackClosed: _money_moved,
        events.PaymentReturned: _money_moved,
        events.PaymentNewsKept: _payment_changed,
        events.PaymentMoved: _payment_moved,
        events.InvoiceIssued: _invoice_issued,
        events.DepositInvoiceIssued: _deposit_invoice_issued,
        events.CreditNoteIssued: _credit_note_issued,
    },
    ignores=(events.BookingPaid, events.LedgerBookingsLost),
    not_followed=(RESERVATIONS, DELIVERY),
)
