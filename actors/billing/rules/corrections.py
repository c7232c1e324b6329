"""Corrections of invoices: credit notes for the whole or a part, and an invoice issued anew to the right buyer.

An invoice is never changed. A credit note names the invoice, and each of its lines the line that it corrects (Directive
2006/112/EC, article 219: a document that amends an invoice refers to it specifically and unambiguously).
"""

from collections.abc import Iterator

from innkeeper.actors.billing.rules.documents import NewDocument, document_line, fields_of
from innkeeper.actors.billing.rules.folios import left_of, moved, part_asked_for, reversal
from innkeeper.actors.billing.rules.lookups import Decision, check_room, find_document, line_numbers, the_document
from innkeeper.actors.billing.rules.numbering import next_number
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.actors.billing.rules.taxes import opposite
from innkeeper.protocol.billing import commands, events
from innkeeper.protocol.billing.folio import (
    CHARGED,
    Corrected,
    DocumentKind,
    DocumentLine,
    Folio,
    FolioLine,
    Invoice,
    LineKind,
    LinePosition,
    ReversalReason,
)
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import ActionNotAllowed, NotFound, Refused, invalid
from innkeeper.protocol.values.money import render


def issue_credit_note(state: LedgerState, command: commands.IssueCreditNote, envelope: Envelope) -> Decision:
    """Credits an invoice, or lines of it: reverses the charges, and puts the reversals on the credit note."""
    invoice = _find(state, command.number)
    folio = state.folio(invoice.booking, invoice.folio)
    if command.lines:
        reversals = _parts(state, folio, invoice, command)
    else:
        reversals = _whole(state, folio, invoice, command.reason)
    posted = [line for line in reversals if line.id > state.lines_posted]
    lines = [document_line(state, folio, line) for line in reversals]
    whole = not command.lines or _is_left_nothing(folio, invoice, reversals)
    if whole:
        lines += _deposits_back(invoice)
    else:
        check_room(folio, len(posted))
        _check_total(state, invoice, -sum(line.amount for line in lines))
    note = _credit_note(state, invoice, tuple(lines), command.reason, whole)
    reversed_ = (events.ChargeReversed(invoice.booking, invoice.folio, line) for line in posted)
    return Decision((*reversed_, note), the_document(note.number))


def reissue_invoice(state: LedgerState, command: commands.ReissueInvoice, envelope: Envelope) -> Decision:
    """Credits what is left of an invoice, charges it anew on the same folio, and invoices it to another buyer."""
    invoice = _find(state, command.number)
    if invoice.kind is DocumentKind.DEPOSIT_INVOICE:
        reason = f"{invoice.number} is a deposit invoice; credit it, and issue another one"
        raise Refused(ActionNotAllowed("reissue", reason, ("credit",)))
    bill = state.bills[invoice.booking]
    folio = state.folio(invoice.booking, invoice.folio)
    day, numbers = state.opened().business_date, line_numbers(state)
    done: list[Event] = []
    credited, charged = [], []
    for charge in _open_charges(folio, invoice):
        left = left_of(folio, charge)
        place = LinePosition(invoice.booking, invoice.folio, charge.id)
        back, there = next(numbers), LinePosition(invoice.booking, invoice.folio, next(numbers))
        line = reversal(back, day, left, ReversalReason.CREDITED, command.reason, (there,))
        again = moved(left, there.line, day, place)
        done.append(events.ChargeReversed(invoice.booking, invoice.folio, line))
        done.append(events.ChargePosted(invoice.booking, invoice.folio, again))
        credited.append(document_line(state, folio, line))
        charged.append(document_line(state, folio, again))
    _refuse_nothing("reissue", invoice, credited)
    back_lines = _deposits_back(invoice)
    note = _credit_note(state, invoice, (*credited, *back_lines), command.reason, whole=True)
    charged += [_opposite(line) for line in back_lines]
    number = next_number(state, DocumentKind.INVOICE)
    language = command.language or invoice.language
    new = NewDocument(folio, number, command.buyer.party(), tuple(charged), language)
    issued = events.InvoiceIssued(replaces=invoice.number, **fields_of(state, bill, new, before=note.total))
    return Decision((*done, note, issued), the_document(number.number))


def _find(state: LedgerState, number: str) -> Invoice:
    """An invoice that can be credited. Refuses any other document."""
    document = find_document(state, number)
    if document.kind is DocumentKind.CREDIT_NOTE:
        raise Refused(ActionNotAllowed("credit", f"{number} is a credit note; only invoices can be credited", ()))
    if document.credited_by is not None:
        raise Refused(ActionNotAllowed("credit", f"{number} is already credited by {document.credited_by}", ()))
    if document.settled_by is not None:
        reason = f"{number} is settled by {document.settled_by}; credit that one first"
        raise Refused(ActionNotAllowed("credit", reason, ()))
    return document


def _open_charges(folio: Folio, invoice: Invoice) -> Iterator[FolioLine]:
    """Yields the charges and discounts on an invoice of which something is left."""
    on_invoice = {line.line for line in invoice.lines}
    for line in folio.lines:
        if line.id in on_invoice and line.kind in CHARGED and line.reversed_by is None:
            yield line


def _whole(state: LedgerState, folio: Folio, invoice: Invoice, reason: str) -> list[FolioLine]:
    """The reversals of what is left of an invoice, and those that are on no document yet. Corrections on the invoice
    itself remain, as do charges whose correction is on another document."""
    day, numbers = state.opened().business_date, line_numbers(state)
    by_id = {line.id: line for line in folio.lines}
    lines = []
    for charge in (by_id[line.line] for line in invoice.lines if line.line is not None):
        if charge.kind not in CHARGED:
            continue
        if charge.reversed_by is None:
            left = left_of(folio, charge)
            lines.append(reversal(next(numbers), day, left, ReversalReason.CREDITED, reason))
        elif by_id[charge.reversed_by].invoice is None:
            lines.append(by_id[charge.reversed_by])
    if invoice.kind is not DocumentKind.DEPOSIT_INVOICE:
        _refuse_nothing("credit", invoice, lines)
    return lines


def _refuse_nothing(action: str, invoice: Invoice, lines: list[FolioLine] | list[DocumentLine]) -> None:
    if not lines:
        raise Refused(ActionNotAllowed(action, f"all charges of invoice {invoice.number} are corrected already", ()))


def _parts(state: LedgerState, folio: Folio, invoice: Invoice, command: commands.IssueCreditNote) -> list[FolioLine]:
    """The reversals of the lines asked for. Refuses lines that are no charges, and more than is left of one."""
    if invoice.kind is DocumentKind.DEPOSIT_INVOICE:
        raise invalid("lines", "whole", f"{invoice.number} is a deposit invoice, which can only be credited as a whole")
    day, numbers = state.opened().business_date, line_numbers(state)
    open_charges = {line.id: line for line in _open_charges(folio, invoice) if line.kind is LineKind.CHARGE}
    lines = []
    for asked in command.lines:
        if asked.position > len(invoice.lines):
            raise Refused(NotFound("line", str(asked.position)))
        charge = open_charges.get(invoice.lines[asked.position - 1].line or 0)
        if charge is None:
            reason = f"nothing is left to credit of line {asked.position} of {invoice.number}"
            raise Refused(ActionNotAllowed("credit", reason, ()))
        left = left_of(folio, charge)
        part = left
        if asked.amount is not None or asked.quantity is not None:
            part = part_asked_for(state, left, asked.amount, asked.quantity)
        if not 0 < part.amount <= left.amount:
            most = render(left.amount, state.opened().currency)
            raise invalid("lines.amount", "part", f"expected an amount above zero and at most what is left, {most}")
        lines.append(reversal(next(numbers), day, part, ReversalReason.CREDITED, command.reason))
    return lines


def _check_total(state: LedgerState, invoice: Invoice, credited: int) -> None:
    """Refuses to credit more than the invoice's total in parts: a deposit that it settled is only given back whole."""
    left = invoice.total + sum(state.documents[number].total for number in invoice.credit_notes)
    if credited > left:
        most = render(left, state.opened().currency)
        raise invalid("lines", "total_max", f"the maximum is {most}, what is left of the total; or credit the whole")


def _is_left_nothing(folio: Folio, invoice: Invoice, reversals: list[FolioLine]) -> bool:
    """Whether nothing is left of any charge on the invoice after these reversals."""
    taken = {line.reverses: line.amount for line in reversals}
    return all(left_of(folio, charge).amount + taken.get(charge.id, 0) == 0 for charge in _open_charges(folio, invoice))


def _deposits_back(invoice: Invoice) -> list[DocumentLine]:
    """The lines that take back those of an invoice that are no lines of the folio: of a deposit, or what settled it."""
    return [
        _opposite(line, Corrected(invoice.number, position))
        for position, line in enumerate(invoice.lines, 1)
        if line.line is None
    ]


def _opposite(line: DocumentLine, corrects: Corrected | None = None) -> DocumentLine:
    return DocumentLine(
        text=line.text,
        supplied_on=line.supplied_on,
        quantity=-line.quantity,
        amount=-line.amount,
        taxes=opposite(line.taxes),
        deposit_invoice=line.deposit_invoice,
        corrects=corrects,
        reason_code=None if corrects is None else ReversalReason.CREDITED,
    )


def _credit_note(
    state: LedgerState, invoice: Invoice, lines: tuple[DocumentLine, ...], reason: str, whole: bool
) -> events.CreditNoteIssued:
    """A credit note for lines of an invoice, to its buyer and in its language."""
    bill = state.bills[invoice.booking]
    folio = state.folio(invoice.booking, invoice.folio)
    number = next_number(state, DocumentKind.CREDIT_NOTE)
    fields = fields_of(state, bill, NewDocument(folio, number, invoice.buyer, lines, invoice.language))
    return events.CreditNoteIssued(credits=invoice.number, reason=reason, whole=whole, **fields)
