"""Documents as electronic invoices by EN 16931: the values of its business terms (BT), from which UBL 2.1 and Factur-X
are written. `innkeeper.http.documents.electronic_formats` writes them.

Value added tax is computed per category and rate on the lines' amounts without it. A levy, such as a city tax, and a
fee that value added tax does not cover become lines of their own, exempt with the name of the levy as the reason:
EN 16931 has no other tax, and no invoice with taxed lines may have lines outside the scope of value added tax.
"""

from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from innkeeper.http.documents.content import content_of
from innkeeper.protocol.billing.folio import DocumentKind, DocumentLine, Invoice
from innkeeper.protocol.billing.refusals import DocumentIncomplete
from innkeeper.protocol.billing.terms import Party
from innkeeper.protocol.messages.refusals import FieldError, Refused
from innkeeper.protocol.values.money import digits, render, unit_price
from innkeeper.protocol.values.percentage import render_percent
from innkeeper.protocol.values.taxes import TaxAmount, TaxCategory

Terms = dict[str, Any]
"""Values by business term (BT-1) or group (BG-4)."""

_TYPE_CODES = {DocumentKind.INVOICE: "380", DocumentKind.DEPOSIT_INVOICE: "386", DocumentKind.CREDIT_NOTE: "381"}
_CATEGORIES = {
    TaxCategory.STANDARD: "S",
    TaxCategory.ZERO_RATED: "Z",
    TaxCategory.EXEMPT: "E",
    TaxCategory.REVERSE_CHARGE: "AE",
}
_EXEMPT, _OUT_OF_SCOPE, _REVERSE_CHARGE = "E", "O", "AE"
_REASON_CODES = {_REVERSE_CHARGE: "VATEX-EU-AE", _OUT_OF_SCOPE: "VATEX-EU-O"}
_CREDIT_TRANSFER = "58"
_ONE, _DAY = "C62", "DAY"
_ADDRESS_LINES = ("addr_l1", "addr_l2", "addr_l3")
_DECIMALS_MAX = 2  # of an amount (BR-DEC-09 and others)
_CENT = Decimal("0.01")


class _Share(NamedTuple):
    """A part of a line with one category of tax. Amounts are minor units, `rate` is in thousandths of a percent."""

    line: DocumentLine
    name: str
    net: int
    tax: int
    category: str
    rate: int
    reason: str


def business_terms(invoice: Invoice) -> Terms:
    """The terms of EN 16931 for a document. Refuses one that lacks what EN 16931 demands, with each field."""
    lacking = list(_lacking(invoice))
    if lacking:
        raise Refused(DocumentIncomplete(tuple(lacking)))
    sign = -1 if invoice.kind is DocumentKind.CREDIT_NOTE else 1
    return _TermWriter(invoice, sign).terms()


def _lacking(invoice: Invoice) -> Iterator[FieldError]:
    """What EN 16931 demands and the document does not have."""
    required = {
        "seller.country": (invoice.seller.country, "BT-40"),
        "seller.vat_id": (invoice.seller.vat_id or invoice.seller.tax_number, "BT-31"),
        "buyer.country": (invoice.buyer.country, "BT-55"),
    }
    if any(total.category is TaxCategory.REVERSE_CHARGE for total in invoice.totals):
        required["seller.vat_id"] = (invoice.seller.vat_id, "BT-31")
        required["buyer.vat_id"] = (invoice.buyer.vat_id, "BT-48")
    for field, (value, term) in required.items():
        if not value:
            yield FieldError(field, "required", f"required by EN 16931 ({term})")
    if digits(invoice.currency) > _DECIMALS_MAX:
        yield FieldError("currency", "decimals", "EN 16931 allows at most two decimals")
    categories = _categories(invoice)
    for number, line in enumerate(invoice.lines):
        if len(_value_added(line, categories)) > 1:
            message = "EN 16931 allows one value added tax per line (BT-151)"
            yield FieldError(f"lines[{number}].taxes", "one_tax", message)


def _categories(invoice: Invoice) -> dict[tuple[str, int], tuple[TaxCategory, str]]:
    """The category of each tax and rate on the document, and why nothing is due."""
    return {(total.code, total.rate): (total.category, total.exemption) for total in invoice.totals}


def _value_added(line: DocumentLine, categories: dict[tuple[str, int], tuple[TaxCategory, str]]) -> list[TaxAmount]:
    return [tax for tax in line.taxes if categories[tax.code, tax.rate][0] in _CATEGORIES]


class _TermWriter:
    """Writes the terms of one document. A credit note has positive amounts: `sign` turns its lines around."""

    def __init__(self, invoice: Invoice, sign: int) -> None:
        self._invoice = invoice
        self._sign = sign
        self._categories = _categories(invoice)
        self._names = {total.code: total.name for total in invoice.totals}
        self._texts = [row[1] for row in content_of(invoice).lines.rows]

    def terms(self) -> Terms:
        """See `business_terms`."""
        invoice = self._invoice
        shares = [share for number, line in enumerate(invoice.lines) for share in self._shares(number, line)]
        only_outside = all(share.category == _OUT_OF_SCOPE for share in shares)
        if not only_outside:
            exempt = {_OUT_OF_SCOPE: _EXEMPT}
            shares = [share._replace(category=exempt.get(share.category, share.category)) for share in shares]
        supplied = [line.supplied_on for line in invoice.lines]
        found: Terms = {
            "BT-1": invoice.number,
            "BT-2": invoice.business_date,
            "BT-3": _TYPE_CODES[invoice.kind],
            "BT-5": invoice.currency,
            "BT-9": invoice.due_on,
            "BT-72": max(supplied, default=invoice.business_date),
            "BT-73": min(supplied, default=invoice.stay.arrival),
            "BT-74": max(supplied, default=invoice.stay.departure),
            "BG-1": [{"BT-22": text} for text in (invoice.reason, invoice.note) if text],
            "BG-3": [{"BT-25": number} for number in self._preceding()],
            "BG-4": self._party(invoice.seller, is_seller=True, only_outside=only_outside),
            "BG-7": self._party(invoice.buyer, is_seller=False, only_outside=only_outside),
            "BG-23": self._breakdown(shares),
            "BG-25": [self._line(number, share) for number, share in enumerate(shares, 1)],
            **self._totals(shares),
            **self._bank(),
        }
        return {name: value for name, value in found.items() if value not in ([], "")}

    def _preceding(self) -> list[str]:
        invoice = self._invoice
        settled = [line.deposit_invoice for line in invoice.lines]
        corrected = [line.corrects.invoice for line in invoice.lines if line.corrects]
        return [number for number in dict.fromkeys((invoice.credits, invoice.replaces, *settled, *corrected)) if number]

    def _shares(self, number: int, line: DocumentLine) -> Iterator[_Share]:
        """A line's part with value added tax, and the rest: levies, and fees that it does not cover. A tax covers the
        price, or that and all added taxes before it."""
        text, sign = self._texts[number], self._sign
        taxes = _value_added(line, self._categories)
        if not taxes:
            yield _Share(line, text, sign * line.amount, 0, _OUT_OF_SCOPE, 0, "")
            return
        tax = taxes[0]
        category, exemption = self._categories[tax.code, tax.rate]
        others = [one for one in line.taxes if one is not tax]
        before = sum(one.amount for one in line.taxes[: line.taxes.index(tax)])
        covered = min((0, before), key=lambda amount: abs(line.net + amount - tax.base))
        net = line.net + covered
        yield _Share(line, text, sign * net, sign * tax.amount, _CATEGORIES[category], tax.rate, exemption)
        rest = sum(one.amount for one in others) - covered
        if rest:
            name = ", ".join(dict.fromkeys(self._names.get(one.code) or one.code for one in others))
            yield _Share(line, name, sign * rest, 0, _OUT_OF_SCOPE, 0, name)

    def _line(self, number: int, share: _Share) -> Terms:
        line = share.line
        quantity = self._sign * line.quantity
        if (quantity < 0) != (share.net < 0):  # a price is never below zero
            quantity = -quantity
        terms: Terms = {
            "BT-126": str(number),
            "BT-129": str(quantity),
            "BT-130": _DAY if line.night is not None else _ONE,
            "BT-131": self._money(share.net),
            "BT-134": line.supplied_on,
            "BT-135": line.supplied_on,
            "BT-146": unit_price(share.net, quantity, self._invoice.currency),
            "BT-151": share.category,
            "BT-153": share.name,
        }
        if share.category != _OUT_OF_SCOPE:
            terms["BT-152"] = render_percent(share.rate)
        if line.reason:
            terms["BT-127-00"] = [{"BT-127": line.reason}]
        return terms

    def _breakdown(self, shares: list[_Share]) -> list[Terms]:
        groups: dict[tuple[str, int], list[_Share]] = {}
        for share in shares:
            groups.setdefault((share.category, share.rate), []).append(share)
        return [self._group(category, rate, group) for (category, rate), group in groups.items()]

    def _group(self, category: str, rate: int, group: list[_Share]) -> Terms:
        net, tax = sum(share.net for share in group), sum(share.tax for share in group)
        places = digits(self._invoice.currency)
        exact = (Decimal(net).scaleb(-places) * rate / 100_000).quantize(_CENT, ROUND_HALF_UP)
        if abs(Decimal(tax).scaleb(-places) - exact) >= 1:
            message = f"the taxes of the lines differ from {render_percent(rate)} % of their sum (BR-CO-17)"
            raise Refused(DocumentIncomplete((FieldError("totals", "rounding", message),)))
        terms: Terms = {"BT-116": self._money(net), "BT-117": self._money(tax), "BT-118": category}
        if category != _OUT_OF_SCOPE:
            terms["BT-119"] = render_percent(rate)
        if category in _REASON_CODES:
            terms["BT-121"] = _REASON_CODES[category]
        reasons = "; ".join(dict.fromkeys(share.reason for share in group if share.reason))
        if category in (_EXEMPT, _OUT_OF_SCOPE, _REVERSE_CHARGE):
            terms["BT-120"] = reasons or "Not subject to value added tax"
        return terms

    def _totals(self, shares: list[_Share]) -> Terms:
        invoice, sign = self._invoice, self._sign
        net, tax = sum(share.net for share in shares), sum(share.tax for share in shares)
        return {
            "BT-106": self._money(net),
            "BT-109": self._money(net),
            "BT-110": self._money(tax),
            "BT-112": self._money(sign * invoice.total),
            "BT-113": self._money(sign * invoice.paid),
            "BT-115": self._money(sign * invoice.due),
        }

    def _party(self, party: Party, *, is_seller: bool, only_outside: bool) -> Terms:
        lines = party.address
        if len(lines) > len(_ADDRESS_LINES):
            lines = (*lines[:2], ", ".join(lines[2:]))
        terms: Terms = {
            "name": party.name,
            **dict(zip(_ADDRESS_LINES, lines, strict=False)),
            "city": party.city,
            "postcode": party.postal_code,
            "country_code": party.country,
        }
        if not only_outside:  # EN 16931 forbids the number there (BR-O-02)
            terms["vat_identifier"] = party.vat_id
        if is_seller:
            terms["tax_identifier"] = party.tax_number
            if not party.vat_id or only_outside:
                terms["identifiers"] = {None: party.tax_number or party.vat_id}
        if party.email and is_seller:
            terms["contacts"] = [{"name": party.name, "email": party.email}]
        return {name: value for name, value in terms.items() if value}

    def _bank(self) -> Terms:
        invoice = self._invoice
        if invoice.bank is None:
            return {}
        return {
            "BT-81": _CREDIT_TRANSFER,
            "BT-83": invoice.number,
            "BT-84": invoice.bank.iban,
            "BT-85": invoice.bank.holder or invoice.seller.name,
            "BT-86": invoice.bank.bic,
        }

    def _money(self, units: int) -> str:
        return render(units, self._invoice.currency)
