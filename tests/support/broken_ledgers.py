"""Faults that the auditor of billing must report, each in one function of billing."""

from datetime import date
from typing import Any

import msgspec
from innkeeper.actors.billing.rules import (
    corrections,
    discounts,
    documents,
    folios,
    invoicing,
    reservation_events,
    state,
)
from innkeeper.actors.billing.rules.numbering import DocumentNumber
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing import events as billing_events
from innkeeper.protocol.billing.folio import DocumentKind, DocumentLine, Folio, FolioLine, ReversalReason
from innkeeper.protocol.reservations.booking import PriceLine
from innkeeper.protocol.values.taxes import TaxAmount


def _edit_charge(ledger: LedgerState, record: Any, event: billing_events.ChargeReversed) -> None:
    """Set a charge to zero instead of reversing it."""
    folio = ledger.folio(event.booking, event.folio)
    lines = tuple(
        msgspec.structs.replace(line, amount=0, taxes=()) if line.id == event.line.reverses else line
        for line in folio.lines
    )
    state._change_folio(
        ledger, event, lines=lines, charged=folio.charged + event.line.amount, balance=folio.balance + event.line.amount
    )
    ledger.lines_posted = max(ledger.lines_posted, event.line.id)


def _lose_cents(taxes: tuple[TaxAmount, ...], part: tuple[TaxAmount, ...]) -> tuple[TaxAmount, ...]:
    """What is left of taxes, a unit less than that."""
    return tuple(
        TaxAmount(tax.code, tax.rate, max(tax.amount - share.amount - 1, 0), tax.included, tax.base - share.base)
        for tax, share in zip(taxes, part, strict=True)
    )


def _count_authorised(ledger: LedgerState, record: Any, event: billing_events.PaymentAuthorised) -> None:
    """Count money that is only authorised."""
    amount = ledger.payment(event.payment).amount
    state._payment_changed(ledger, record, event)
    state._change_folio(ledger, event, balance=ledger.folio(event.booking, event.folio).balance - amount)


def _forget_nights(ledger: LedgerState, record: Any, event: billing_events.ChargePosted) -> None:
    """Do not remember which nights are posted."""
    state._add_line(ledger, event, event.line)


def _skip_numbers(ledger: LedgerState, kind: DocumentKind) -> DocumentNumber:
    """Leave out every other document number."""
    prefix = "INV" if kind is DocumentKind.INVOICE else "CN"
    return DocumentNumber(f"{prefix}-{2 * ledger.issued.get((kind, 0), 0) + 1}", 0)


def _charge_a_unit_more(number: int, day: date, price: PriceLine, room: str) -> FolioLine:
    """Charge a night a unit above its price."""
    line = NIGHT_LINE(number, day, price, room)
    return msgspec.structs.replace(line, amount=line.amount + 1)


def _print_six(ledger: LedgerState, folio: Folio, line: FolioLine) -> DocumentLine:
    """Print another quantity than that of the folio."""
    return msgspec.structs.replace(DOCUMENT_LINE(ledger, folio, line), quantity=6)


def _name_no_line(ledger: LedgerState, folio: Folio, line: FolioLine) -> DocumentLine:
    """Do not say which line is corrected."""
    return msgspec.structs.replace(DOCUMENT_LINE(ledger, folio, line), corrects=None)


def _keep_the_nights(ledger: LedgerState, charged: Any, reason: ReversalReason, numbers: Any) -> Any:
    """Leave the nights on the folio when a check-in is undone."""
    return () if reason is ReversalReason.CHECK_IN_UNDONE else REVERSE(ledger, charged, reason, numbers)


def _tax_of_now(taxes: tuple[TaxAmount, ...]) -> tuple[TaxAmount, ...]:
    """Lower a tax that the folio does not have."""
    return (*folios.opposite(taxes), TaxAmount("NOW", 1_000, -1, True, -100))


NIGHT_LINE, DOCUMENT_LINE = folios.night_line, documents.document_line
REVERSE = reservation_events._reverse

# What is replaced, by what, and the violation that the auditor reports.
BROKEN: tuple[tuple[object, str, object, str], ...] = (
    (state.LEDGER_FOLD, "ChargeReversed", _edit_charge, "a line was edited"),
    (state.LEDGER_FOLD, "PaymentAuthorised", _count_authorised, "the balance is wrong"),
    (state.LEDGER_FOLD, "ChargePosted", _forget_nights, "charged twice for the night"),
    (state, "cause_seq", lambda record: 0, "an event had effects twice"),
    (folios, "less_taxes", _lose_cents, "lost a part"),
    (invoicing, "next_number", _skip_numbers, "is not the next number"),
    (reservation_events, "night_line", _charge_a_unit_more, "is charged another price"),
    (invoicing, "document_line", _print_six, "changes line"),
    (corrections, "document_line", _name_no_line, "does not name the line"),
    (reservation_events, "_reverse", _keep_the_nights, "has not arrived, and is charged"),
    (discounts, "opposite", _tax_of_now, "is not the rate of what is charged"),
    (invoicing, "_settled", lambda *_: [], "the documents are not what was charged"),
    (invoicing, "_invoiced_before", lambda *_: 0, "deposits are invoiced above the price"),
)
