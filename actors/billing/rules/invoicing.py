"""Invoices and credit notes: gapless numbers, and every line on one document at most.

An invoice is never changed: a credit note reverses the whole invoice, or a correction that was posted meanwhile (a fee
that is no longer owed) goes on the next document. Numbers are consecutive without a gap, in a series for each kind
(Directive 2006/112/EC, article 226, point 2, requires a sequential number).
"""

import re
from typing import Any

from innkeeper.actors.billing.rules.folios import reversal
from innkeeper.actors.billing.rules.lookups import Decision, find_bill, find_folio, line_numbers, the_document
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing import commands, events
from innkeeper.protocol.billing.folio import (
    CHARGED,
    DocumentKind,
    Folio,
    FolioLine,
    Invoice,
    LinePosition,
    ReversalReason,
    TaxTotal,
)
from innkeeper.protocol.billing.terms import BillingTerms, Party
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import ActionNotAllowed, NotFound, Refused, invalid
from innkeeper.protocol.reservations.terms import TermsOfSale


def uninvoiced(folio: Folio) -> tuple[FolioLine, ...]:
    """The lines of the next document of a folio. Charges and reversals that offset each other before either was
    invoiced are left out."""
    waiting = {line.id: line for line in folio.lines if line.is_charge and line.invoice is None}
    return tuple(line for line in waiting.values() if line.reversed_by not in waiting and line.reverses not in waiting)


def totals(lines: tuple[FolioLine, ...], terms: tuple[TermsOfSale, ...]) -> tuple[TaxTotal, ...]:
    """The sums of the lines' taxes by tax and rate. Names are those of the newest terms of sale that have the tax."""
    names = {tax.code: tax.name for version in terms for tax in version.taxes}
    sums: dict[tuple[str, int], tuple[int, int]] = {}
    for line in lines:
        shares = [(tax.code, tax.rate, line.net if tax.rate else 0, tax.amount) for tax in line.taxes]
        if not any(tax.rate for tax in line.taxes):
            shares.append(("", 0, line.net, 0))
        for code, rate, net, tax_amount in shares:
            net_before, tax_before = sums.get((code, rate), (0, 0))
            sums[code, rate] = (net_before + net, tax_before + tax_amount)
    return tuple(
        TaxTotal(code, names.get(code, code), rate, net, tax, net + tax)
        for (code, rate), (net, tax) in sorted(sums.items())
        if code or net
    )


def issue_invoice(state: LedgerState, command: commands.IssueInvoice, envelope: Envelope) -> Decision:
    """Issues an invoice of all uninvoiced lines of a folio, or a credit note where their total is negative."""
    bill = find_bill(state, command.booking)
    folio = find_folio(bill, command.folio)
    lines = uninvoiced(folio)
    if not lines:
        raise Refused(ActionNotAllowed("invoice", f"folio {folio.number} has no lines to invoice", ()))
    if command.buyer is not None:
        buyer = command.buyer.party()
    elif folio.buyer.details is not None:
        buyer = Party.of(folio.buyer.details)
    else:
        raise invalid("buyer", "forgotten", "the buyer of the folio is forgotten; give the buyer of the invoice")
    fields = _document(state, LinePosition(bill.booking, folio.number, 0), lines, buyer)
    total = sum(line.amount for line in lines)
    if total < 0:
        number = _number(state, DocumentKind.CREDIT_NOTE)
        return Decision((events.CreditNoteIssued(number=number, **fields),), the_document(number))
    number = _number(state, DocumentKind.INVOICE)
    return Decision((events.InvoiceIssued(number=number, **fields),), the_document(number))


def issue_credit_note(state: LedgerState, command: commands.IssueCreditNote, envelope: Envelope) -> Decision:
    """Credits a whole invoice: reverses its charges, and puts the reversals on the credit note. The corrections on the
    invoice itself remain, as do charges whose correction is on another document."""
    invoice = _find(state, command.number)
    by_id = {line.id: line for line in state.folio(invoice.booking, invoice.folio).lines}
    day, numbers = state.opened().business_date, line_numbers(state)
    done: list[Event] = []
    lines = []
    for charge in (by_id[line.id] for line in invoice.lines if line.kind in CHARGED):
        if charge.reversed_by is None:
            line = reversal(next(numbers), day, charge)
            reason = ReversalReason.CREDITED
            done.append(events.ChargeReversed(invoice.booking, invoice.folio, line, reason, command.reason))
            lines.append(line)
        elif by_id[charge.reversed_by].invoice is None:
            lines.append(by_id[charge.reversed_by])
    if not lines:
        raise Refused(ActionNotAllowed("credit", f"all charges of invoice {invoice.number} are corrected already", ()))
    number = _number(state, DocumentKind.CREDIT_NOTE)
    fields = _document(state, LinePosition(invoice.booking, invoice.folio, 0), tuple(lines), invoice.buyer)
    note = events.CreditNoteIssued(number=number, credits=invoice.number, reason=command.reason, **fields)
    return Decision((*done, note), the_document(number))


def _find(state: LedgerState, number: str) -> Invoice:
    """An invoice that can be credited. Refuses any other document."""
    document = state.documents.get(number)
    if document is None:
        raise Refused(NotFound("invoice", number))
    if document.kind is DocumentKind.CREDIT_NOTE:
        raise Refused(ActionNotAllowed("credit", f"{number} is a credit note; only invoices can be credited", ()))
    if document.credited_by is not None:
        raise Refused(ActionNotAllowed("credit", f"{number} is already credited by {document.credited_by}", ()))
    return document


def _document(state: LedgerState, place: LinePosition, lines: tuple[FolioLine, ...], buyer: Party) -> dict[str, Any]:
    ledger = state.opened()
    return {
        "booking": place.booking,
        "folio": place.folio,
        "business_date": ledger.business_date,
        "seller": ledger.terms.seller,
        "guest_id": state.bills[place.booking].guest_id,
        "buyer": buyer,
        "lines": lines,
        "totals": totals(lines, ledger.terms_of_sale),
        "net": sum(line.net for line in lines),
        "total": sum(line.amount for line in lines),
    }


def _number(state: LedgerState, kind: DocumentKind) -> str:
    return f"{_prefix(state.opened().terms, kind)}{state.issued[kind] + 1}"


def _prefix(terms: BillingTerms, kind: DocumentKind) -> str:
    return terms.invoice_prefix if kind is DocumentKind.INVOICE else terms.credit_note_prefix


def check_prefixes(state: LedgerState, terms: BillingTerms) -> None:
    """Refuses a prefix that documents of the other kind have used: a number could be issued twice."""
    used = {(re.sub(r"[0-9]+$", "", document.number), document.kind) for document in state.documents.values()}
    for field, prefix, other in (
        ("invoice_prefix", terms.invoice_prefix, DocumentKind.CREDIT_NOTE),
        ("credit_note_prefix", terms.credit_note_prefix, DocumentKind.INVOICE),
    ):
        if (prefix, other) in used:
            raise invalid(field, "taken", f"documents of the other kind were issued with the prefix {prefix}")
