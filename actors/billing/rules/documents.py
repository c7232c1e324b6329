"""What stands on a document: its lines, its totals by tax and rate, what is paid of it, the stay.

Directive 2006/112/EC (article 226) demands the full names and addresses, the tax numbers, the date of each supply, the
quantity and the price of a unit without tax, the rate and the taxable amount of each rate, and the reason where no tax
is due. A document is never changed: what it says is in its event.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from innkeeper.actors.billing.rules.numbering import DocumentNumber
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing.folio import (
    Bill,
    Corrected,
    DocumentLine,
    DocumentStay,
    Folio,
    FolioLine,
    Invoice,
    LineKind,
    PaymentOnAccount,
    TaxTotal,
)
from innkeeper.protocol.billing.refusals import SellerIncomplete
from innkeeper.protocol.billing.terms import Party
from innkeeper.protocol.messages.refusals import Refused, invalid
from innkeeper.protocol.reservations.terms import TermsOfSale
from innkeeper.protocol.values.taxes import Tax, TaxAmount, TaxCategory

FindTax = Callable[[TaxAmount], Tax | None]
"""Finds the tax that an amount is of."""


class NewDocument(NamedTuple):
    """What the rules decide about a new document; `fields_of` adds what follows from it."""

    folio: Folio
    number: DocumentNumber
    buyer: Party
    lines: tuple[DocumentLine, ...]
    language: str | None = None


def fields_of(state: LedgerState, bill: Bill, new: NewDocument, before: int = 0) -> dict[str, Any]:
    """The fields of the event that issues a document. `before`: the total of the documents of the folio that the same
    decision has issued. Refuses a seller without an address or a tax number."""
    ledger = state.opened()
    terms = ledger.terms
    if terms.seller.lacking:
        raise Refused(SellerIncomplete(terms.seller.lacking))
    total = sum(line.amount for line in new.lines)
    paid, payments = _paid(state, bill, new.folio, total, before)
    return {
        "booking": bill.booking,
        "folio": new.folio.number,
        "number": new.number.number,
        "series": new.number.series,
        "business_date": ledger.business_date,
        "seller": terms.seller,
        "guest_id": bill.guest_id,
        "buyer": new.buyer,
        "lines": new.lines,
        "totals": totals(new.lines, _finder(ledger.terms_of_sale, ledger.terms_of(bill.stay))),
        "net": sum(line.net for line in new.lines),
        "total": total,
        "stay": _stay(bill, new.buyer),
        "due_on": ledger.business_date + timedelta(days=terms.payment_days),
        "language": new.language or _language_of(new.folio) or terms.language,
        "paid": paid,
        "payments": payments,
        "bank": terms.bank,
        "note": terms.note,
    }


def document_line(state: LedgerState, folio: Folio, line: FolioLine) -> DocumentLine:
    """The line of a document for a line of a folio. A reversal of a line that is on an invoice names it."""
    return DocumentLine(
        line=line.id,
        text=line.text,
        supplied_on=line.supplied,
        quantity=-line.quantity if line.kind is LineKind.REVERSAL else line.quantity,
        amount=line.amount,
        taxes=line.taxes,
        charge=line.charge,
        night=line.night,
        room=line.room,
        corrects=_corrected(state, folio, line),
        reason_code=line.reason_code,
        reason=line.reason,
    )


def _corrected(state: LedgerState, folio: Folio, line: FolioLine) -> Corrected | None:
    if line.reverses is None:
        return None
    number = next(other.invoice for other in folio.lines if other.id == line.reverses)
    if number is None:
        return None
    lines = [one.line for one in state.documents[number].lines]
    return Corrected(number, lines.index(line.reverses) + 1)


def issued_of(state: LedgerState, bill: Bill, folio: Folio) -> Iterator[Invoice]:
    """Yields the documents that were issued for a folio, in their order."""
    for document in state.documents_of(bill.booking):
        if document.folio == folio.number:
            yield document


def on_account(state: LedgerState, bill: Bill, folio: Folio) -> int:
    """What was paid on a folio beyond the documents that were issued for it."""
    return _received(folio) - sum(document.total for document in issued_of(state, bill, folio))


def _received(folio: Folio) -> int:
    return folio.charged - folio.balance


def _paid(
    state: LedgerState, bill: Bill, folio: Folio, total: int, before: int
) -> tuple[int, tuple[PaymentOnAccount, ...]]:
    """What of a document's total is paid, and by which payments: the oldest ones are for the oldest documents. What is
    left of payments after a credit note is owed to the buyer, up to its total; the rest of it was not paid before."""
    left = on_account(state, bill, folio) - before
    if total < 0:
        owed = min(-total, max(left - total, 0))
        return total + owed, ()
    paid = min(max(left, 0), total)
    used = _received(folio) - max(left, 0)
    payments: list[_Received] = []
    for received in _payments(folio):
        taken = min(max(received.amount - used, 0), paid - sum(payment.amount for payment in payments))
        used = max(used - received.amount, 0)
        if taken:
            payments.append(received._replace(amount=taken))
    return paid, tuple(PaymentOnAccount(*payment) for payment in payments)


class _Received(NamedTuple):
    payment: str
    method: str
    paid_on: date
    amount: int


def _payments(folio: Folio) -> list[_Received]:
    """The payments of a folio by their order, each less what was refunded of it."""
    received: dict[str, _Received] = {}
    for line in folio.lines:
        if line.payment is not None:
            known = received.get(line.payment) or _Received(line.payment, line.text, line.supplied, 0)
            received[line.payment] = known._replace(amount=known.amount - line.amount)
    return [payment for payment in received.values() if payment.amount > 0]


def _stay(bill: Bill, buyer: Party) -> DocumentStay:
    """The stay. Of the guest's name it keeps only that of the buyer, which stands on the document for good."""
    stay = bill.stay
    return DocumentStay(
        locator=stay.locator,
        guest=buyer.name if buyer.name == bill.folios[0].buyer.name else "",
        room_type=stay.room_type,
        arrival=stay.arrival,
        departure=stay.departure,
        rooms=tuple(dict.fromkeys(segment.room for segment in stay.rooms if segment.room is not None)),
    )


def _language_of(folio: Folio) -> str | None:
    """The language of the guest for whom the folio is, where it is known."""
    return None if folio.buyer.details is None else folio.buyer.details.language


def buyer_of(folio: Folio) -> Party:
    """The buyer of a folio. Refuses one that is forgotten."""
    if folio.buyer.details is None:
        raise invalid("buyer", "forgotten", "the buyer of the folio is forgotten; give the buyer of the invoice")
    return Party.of(folio.buyer.details)


def totals(lines: Sequence[DocumentLine], find: FindTax) -> tuple[TaxTotal, ...]:
    """The sums of the lines' taxes by tax and rate, and the sum of the lines without value added tax."""
    sums: dict[tuple[str, int, bool], list[int]] = {}
    taxes: dict[tuple[str, int, bool], Tax | None] = {}
    for line in lines:
        shares = [((tax.code, tax.rate, tax.by_rate), tax.base, tax.amount) for tax in line.taxes]
        for tax in line.taxes:
            taxes.setdefault((tax.code, tax.rate, tax.by_rate), find(tax))
        if not any(key[2] and not _is_fee(taxes[key]) for key, _, _ in shares):
            shares.append((("", 0, True), line.net, 0))
        for key, net, amount in shares:
            known = sums.setdefault(key, [0, 0])
            known[0] += net
            known[1] += amount
    return tuple(
        _total(code, rate, taxes.get((code, rate, by_rate)), net, tax)
        for (code, rate, by_rate), (net, tax) in sorted(sums.items())
        if code or net
    )


def _total(code: str, rate: int, tax: Tax | None, net: int, amount: int) -> TaxTotal:
    if tax is None:
        return TaxTotal(code, code, rate, net, amount, net + amount)
    return TaxTotal(code, tax.name, rate, net, amount, net + amount, tax.category, tax.exemption)


def _is_fee(tax: Tax | None) -> bool:
    return tax is not None and tax.category is TaxCategory.FEE


def _finder(versions: Sequence[TermsOfSale], of_booking: TermsOfSale) -> FindTax:
    """Finds a tax by its code and rate: in the terms of the booking, else in the newest terms that have it."""
    known: dict[tuple[str, int, bool], Tax] = {}
    for terms in (*versions, of_booking):
        known |= {(tax.code, tax.rate, tax.by_rate): tax for tax in terms.taxes}
    return lambda amount: (
        known.get((amount.code, amount.rate, amount.by_rate))
        or known.get((amount.code, amount.rate, not amount.by_rate))
    )
