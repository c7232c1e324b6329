"""Documents made by hand, as billing issues them, for tests of how they are rendered."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import msgspec
from innkeeper.protocol.billing.folio import (
    Corrected,
    DocumentKind,
    DocumentLine,
    DocumentStay,
    Invoice,
    PaymentOnAccount,
    ReversalReason,
    TaxTotal,
)
from innkeeper.protocol.billing.terms import BankAccount, Party
from innkeeper.protocol.values.taxes import ChargeKind, TaxAmount, TaxCategory

ARRIVAL = date(2027, 7, 20)
SELLER = Party(
    "Hotel do Mar, Lda.", ("Rua da Praia 12",), postal_code="8600-315", city="Lagos", country="PT",
    vat_id="PT500123456", email="conta@hoteldomar.example",
)  # fmt: skip
BUYER = Party(
    "Müller & Söhne GmbH", ("Königsallee 5", "3. OG"), postal_code="40212", city="Düsseldorf", country="DE",
    vat_id="DE123456789",
)  # fmt: skip
NAMES = {"VAT": "VAT", "CITY": "City tax", "SERVICE": "Service charge"}


def vat(net: int, rate: int) -> TaxAmount:
    """Value added tax on top of an amount; `rate` in whole percent."""
    return TaxAmount("VAT", rate * 1_000, round(net * rate / 100), base=net)


def night_line(number: int, net: int = 100_00, rate: int = 7, city_tax: int = 2_00) -> DocumentLine:
    """A night with value added tax and a city tax."""
    taxes = (vat(net, rate), *((TaxAmount("CITY", 0, city_tax),) if city_tax else ()))
    night = ARRIVAL + timedelta(number)
    return DocumentLine(
        text="Room", supplied_on=night, quantity=1, amount=net + sum(tax.amount for tax in taxes), taxes=taxes,
        line=number + 1, charge=ChargeKind.ROOM, night=night, room="101",
    )  # fmt: skip


def breakfast_line(number: int, net: int = 30_00, quantity: int = 3) -> DocumentLine:
    """Breakfasts with value added tax."""
    tax = vat(net, 19)
    return DocumentLine(
        text="Breakfast buffet", supplied_on=ARRIVAL + timedelta(number), quantity=quantity, amount=net + tax.amount,
        taxes=(tax,), line=number + 1, charge=ChargeKind.BREAKFAST,
    )  # fmt: skip


def lines_of(number: int) -> tuple[DocumentLine, ...]:
    """So many lines: two nights, then a breakfast, and so on."""
    return tuple(breakfast_line(place) if place % 3 == 2 else night_line(place) for place in range(number))


def totals_of(
    lines: Iterable[DocumentLine], categories: dict[tuple[str, int], tuple[TaxCategory, str]] | None = None
) -> tuple[TaxTotal, ...]:
    """The totals per tax and rate. `categories` are the unusual ones, with the reasons why nothing is due."""
    sums: dict[tuple[str, int], list[int]] = {}
    for tax in (tax for line in lines for tax in line.taxes):
        found = sums.setdefault((tax.code, tax.rate), [0, 0])
        found[0] += tax.base
        found[1] += tax.amount
    usual = {"VAT": TaxCategory.STANDARD, "CITY": TaxCategory.LEVY, "SERVICE": TaxCategory.FEE}
    special = categories or {}
    return tuple(
        TaxTotal(code, NAMES[code], rate, net, tax, net + tax, *special.get((code, rate), (usual[code], "")))
        for (code, rate), (net, tax) in sums.items()
    )


def invoice_of(lines: tuple[DocumentLine, ...] = lines_of(8), **more: Any) -> Invoice:
    """An invoice with these lines, of which 50.00 is paid; `more` are its other fields."""
    fields: dict[str, Any] = {
        "number": "FT-2027/13",
        "kind": DocumentKind.INVOICE,
        "booking": "b-1",
        "folio": 1,
        "issued_at": 1_815_000_000_123_456,
        "business_date": ARRIVAL + timedelta(4),
        "currency": "EUR",
        "seller": SELLER,
        "guest_id": "g-1",
        "buyer": BUYER,
        "lines": lines,
        "totals": totals_of(lines),
        "net": sum(line.net for line in lines),
        "total": sum(line.amount for line in lines),
        "stay": DocumentStay("K7M2XQ", "Ana Souza", "DBL", ARRIVAL, ARRIVAL + timedelta(4), ("101",)),
        "due_on": date(2027, 8, 7),
        "paid": 50_00,
        "payments": (
            PaymentOnAccount("p-1", "terminal", date(2027, 7, 1), 30_00),
            PaymentOnAccount("p-2", "transfer", date(2027, 7, 10), 20_00),
        ),
        "bank": BankAccount("PT50000201231234567890154", "CGDIPTPL"),
        "note": "Registered in Lagos, 500123456",
    }
    return Invoice(**fields | more)


def credit_note_of(lines: tuple[DocumentLine, ...] = lines_of(8), **more: Any) -> Invoice:
    """A credit note for the first lines of an invoice."""
    turned = tuple(
        msgspec.structs.replace(
            line, quantity=-line.quantity, amount=-line.amount,
            taxes=tuple(msgspec.structs.replace(tax, amount=-tax.amount, base=-tax.base) for tax in line.taxes),
            corrects=Corrected("FT-2027/12", position), reason_code=ReversalReason.CREDITED, reason="wrong rate",
        )
        for position, line in enumerate(lines, 1)
    )  # fmt: skip
    fields: dict[str, Any] = {
        "number": "NC-2027/4", "kind": DocumentKind.CREDIT_NOTE, "credits": "FT-2027/12", "reason": "wrong rate",
        "paid": 0, "payments": (),
    }  # fmt: skip
    return invoice_of(turned, **fields | more)


def deposit_invoice_of(net: int = 100_00, **more: Any) -> Invoice:
    """A deposit invoice, which is paid."""
    tax = vat(net, 7)
    line = DocumentLine(
        text="Deposit", supplied_on=date(2027, 7, 1), quantity=1, amount=net + tax.amount, taxes=(tax,)
    )  # fmt: skip
    payment = PaymentOnAccount("p-1", "simulated", date(2027, 7, 1), line.amount)
    fields = {"kind": DocumentKind.DEPOSIT_INVOICE, "paid": line.amount, "payments": (payment,)}
    return invoice_of((line,), **fields | more)


def settlement_of(deposit: Invoice, number: str) -> DocumentLine:
    """The line of a final invoice that settles a deposit invoice of this number."""
    (line,) = deposit.lines
    taxes = tuple(msgspec.structs.replace(tax, amount=-tax.amount, base=-tax.base) for tax in line.taxes)
    return msgspec.structs.replace(
        line, quantity=-line.quantity, amount=-line.amount, taxes=taxes, deposit_invoice=number
    )  # fmt: skip


def untaxed(lines: Iterable[DocumentLine]) -> tuple[DocumentLine, ...]:
    """The lines without any tax, and value added tax at the rate 0."""
    return tuple(
        msgspec.structs.replace(line, amount=line.net, taxes=(TaxAmount("VAT", 0, 0, base=line.net),)) for line in lines
    )
