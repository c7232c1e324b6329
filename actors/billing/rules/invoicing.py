"""Invoices: of a folio's lines, and of deposits. Every line is on one document at most.

A deposit invoice is for money that was paid before the stay (Directive 2006/112/EC, article 65: the tax becomes due
when a payment on account is received, and article 220, point 4, demands an invoice of it). It has no lines of a folio:
it shares out the payment among the stay's rates. The final invoice has all charges, and takes off the deposits that
were invoiced, with their taxes.
"""

from collections.abc import Sequence
from datetime import date

from innkeeper.actors.billing.rules.documents import (
    NewDocument,
    buyer_of,
    document_line,
    fields_of,
    issued_of,
    on_account,
)
from innkeeper.actors.billing.rules.lookups import Decision, find_bill, find_folio, positive, the_document
from innkeeper.actors.billing.rules.numbering import next_number
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.actors.billing.rules.taxes import opposite, shares, split_taxes
from innkeeper.protocol.billing import commands, events
from innkeeper.protocol.billing.folio import (
    Bill,
    DocumentKind,
    DocumentLine,
    Folio,
    FolioLine,
    Invoice,
    ReversalReason,
    StayTerms,
)
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import ActionNotAllowed, Refused, invalid
from innkeeper.protocol.reservations.booking import PriceLine
from innkeeper.protocol.reservations.transitions import NOT_ENDED
from innkeeper.protocol.values.money import render
from innkeeper.protocol.values.taxes import TaxAmount

_REASONS = {
    ReversalReason.CORRECTION: "A charge was corrected",
    ReversalReason.MOVED: "A charge was moved to another folio",
    ReversalReason.SPLIT: "A charge was split",
    ReversalReason.CREDITED: "An invoice was credited",
    ReversalReason.REINSTATED: "The booking was reinstated",
    ReversalReason.EARLY_DEPARTURE: "The guest left early",
    ReversalReason.CHECK_OUT_UNDONE: "The check-out was undone",
    ReversalReason.CHECK_IN_UNDONE: "The check-in was undone",
    ReversalReason.BOOKING_LOST: "The booking was lost",
}


def uninvoiced(folio: Folio) -> tuple[FolioLine, ...]:
    """The lines of the next document of a folio. Charges and reversals that offset each other before either was
    invoiced are left out."""
    waiting = {line.id: line for line in folio.lines if line.is_charge and line.invoice is None}
    return tuple(line for line in waiting.values() if line.reversed_by not in waiting and line.reverses not in waiting)


def issue_invoice(state: LedgerState, command: commands.IssueInvoice, envelope: Envelope) -> Decision:
    """Issues an invoice of all uninvoiced lines of a folio, or a credit note where their total is negative. When the
    stay has ended, the deposits that are not taken off yet are enough for one."""
    bill = find_bill(state, command.booking)
    folio = find_folio(bill, command.folio)
    charged = [document_line(state, folio, line) for line in uninvoiced(folio)]
    lines = (*charged, *_settled(state, bill, folio, charged))
    if not lines:
        raise Refused(ActionNotAllowed("invoice", f"folio {folio.number} has no lines to invoice", ()))
    buyer = buyer_of(folio) if command.buyer is None else command.buyer.party()
    if sum(line.amount for line in lines) < 0:
        number = next_number(state, DocumentKind.CREDIT_NOTE)
        return _correction(state, bill, NewDocument(folio, number, buyer, lines, command.language))
    number = next_number(state, DocumentKind.INVOICE)
    fields = fields_of(state, bill, NewDocument(folio, number, buyer, lines, command.language))
    return Decision((events.InvoiceIssued(**fields),), the_document(number.number))


def _settled(state: LedgerState, bill: Bill, folio: Folio, charged: list[DocumentLine]) -> list[DocumentLine]:
    """The lines that take off the deposits that were invoiced: after the stay, or where the charges on invoices since
    the first of them, with these, are not less."""
    issued = list(issued_of(state, bill, folio))
    deposits = [document for document in issued if _is_open_deposit(document)]
    if not deposits:
        return []
    since = [line for document in issued[issued.index(deposits[0]) :] for line in document.lines if _is_ordinary(line)]
    missing = sum(deposit.total for deposit in deposits) - sum(line.amount for line in (*since, *charged))
    if bill.stay.status in NOT_ENDED and (missing > 0 or not charged):
        return []
    return [
        DocumentLine(
            text=f"Deposit, invoice {deposit.number}",
            supplied_on=line.supplied_on,
            quantity=-line.quantity,
            amount=-line.amount,
            taxes=opposite(line.taxes),
            deposit_invoice=deposit.number,
        )
        for deposit in deposits
        for line in deposit.lines
    ]


def _is_open_deposit(document: Invoice) -> bool:
    is_deposit = document.kind is DocumentKind.DEPOSIT_INVOICE
    return is_deposit and document.settled_by is None and document.credited_by is None


def _is_ordinary(line: DocumentLine) -> bool:
    """Whether it is of a folio, or takes off a deposit; the lines of deposits themselves are neither."""
    return line.line is not None or line.deposit_invoice is not None


def _correction(state: LedgerState, bill: Bill, new: NewDocument) -> Decision:
    """The credit note for corrections that were posted on a folio, with why they were."""
    corrected = {line.corrects.invoice for line in new.lines if line.corrects is not None}
    why = dict.fromkeys(line.reason or _REASONS[line.reason_code] for line in new.lines if line.reason_code is not None)
    note = events.CreditNoteIssued(
        credits=corrected.pop() if len(corrected) == 1 else None,
        reason="; ".join(why) or "The deposit was more than the charges",
        **fields_of(state, bill, new),
    )
    return Decision((note,), the_document(note.number))


def issue_deposit_invoice(state: LedgerState, command: commands.IssueDepositInvoice, envelope: Envelope) -> Decision:
    """Issues an invoice of what was paid on account of a stay that has not ended."""
    bill = find_bill(state, command.booking)
    folio = find_folio(bill, command.folio)
    if bill.stay.status not in NOT_ENDED:
        reason = f"the stay has ended ({bill.stay.status.value}); its charges are invoiced"
        raise Refused(ActionNotAllowed("invoice a deposit", reason, ()))
    received = on_account(state, bill, folio)
    if received <= 0:
        reason = f"nothing was paid on folio {folio.number} beyond what is invoiced"
        raise Refused(ActionNotAllowed("invoice a deposit", reason, ()))
    most = min(received, bill.stay.price - _invoiced_before(state, bill))
    amount = most if command.amount is None else positive(state, command.amount)
    if not 0 < amount <= most:
        field = render(max(most, 0), state.opened().currency)
        raise invalid("amount", "paid_max", f"the maximum is {field}: what was paid, and not beyond the stay's price")
    buyer = buyer_of(folio) if command.buyer is None else command.buyer.party()
    number = next_number(state, DocumentKind.INVOICE)
    paid_on = max(line.business_date for line in folio.lines if line.payment is not None)
    lines = tuple(_deposit_lines(bill.stay, amount, paid_on))
    fields = fields_of(state, bill, NewDocument(folio, number, buyer, lines, command.language))
    return Decision((events.DepositInvoiceIssued(**fields),), the_document(number.number))


def _invoiced_before(state: LedgerState, bill: Bill) -> int:
    """What of the stay's price is on deposit invoices, or on invoices of its nights. An invoice of nights and its
    credit note cancel out, as do a deposit invoice and the lines that take it off."""
    return sum(
        line.amount
        for document in state.documents_of(bill.booking)
        for line in document.lines
        if (line.night or line.deposit_invoice)
        or (document.kind is DocumentKind.DEPOSIT_INVOICE and document.credited_by is None)
    )


def _deposit_lines(stay: StayTerms, amount: int, paid_on: date) -> list[DocumentLine]:
    """A line for each combination of rates of the stay's nights, in proportion; largest remainders are rounded up."""
    groups: dict[tuple[tuple[str, int], ...], list[PriceLine]] = {}
    for line in stay.lines:
        rates = tuple((tax.code, tax.rate) for tax in line.taxes if tax.by_rate)
        groups.setdefault(rates, []).append(line)
    weights = [sum(line.total for line in lines) for lines in groups.values()]
    return [
        DocumentLine(
            text="Deposit", supplied_on=paid_on, quantity=1, amount=share, taxes=_share_of_taxes(lines, share, weight)
        )
        for lines, share, weight in zip(groups.values(), shares(amount, weights), weights, strict=True)
        if share
    ]


def _share_of_taxes(lines: Sequence[PriceLine], share: int, whole: int) -> tuple[TaxAmount, ...]:
    """The taxes in a share of the price of these nights, which have the same rates."""
    sums: dict[tuple[str, int, bool, bool], list[int]] = {}
    for line in lines:
        for tax in line.taxes:
            known = sums.setdefault((tax.code, tax.rate, tax.included, tax.by_rate), [0, 0])
            known[0] += tax.amount
            known[1] += tax.base
    taxes = tuple(
        TaxAmount(code, rate, amount, included, base) for (code, rate, included, _), (amount, base) in sums.items()
    )
    return split_taxes(taxes, share, whole)[0]
