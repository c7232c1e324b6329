"""The resources of invoices and credit notes, and their rendering."""

from datetime import date, datetime

import msgspec
from innkeeper.http.api.billing_resources import TaxResource, money, taxes
from innkeeper.http.api.resources import Amount
from innkeeper.protocol.billing.folio import (
    Corrected,
    DocumentKind,
    DocumentLine,
    DocumentStay,
    Invoice,
    ReversalReason,
    TaxTotal,
)
from innkeeper.protocol.billing.terms import BankAccount, Party
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.money import unit_price
from innkeeper.protocol.values.percentage import render_percent
from innkeeper.protocol.values.taxes import ChargeKind, TaxCategory


class TaxTotalResource(msgspec.Struct, frozen=True):
    """The totals of a document under one tax at one rate; without a code, those of lines without a tax by rate.
    `exemption` says why nothing is due."""

    code: str
    name: str
    rate: str
    net: Amount
    tax: Amount
    gross: Amount
    category: TaxCategory
    exemption: str


class DocumentLineResource(msgspec.Struct, frozen=True):
    """A line of a document, at its `position` from 1, for a line of the folio; see `DocumentLine`. `unit_net` is the
    price of a unit without tax, with four more digits than the currency's where it does not divide."""

    position: int
    line: int | None
    text: str
    charge: ChargeKind | None
    supplied_on: date
    night: date | None
    room: str
    quantity: int
    unit_net: Amount
    net: Amount
    taxes: list[TaxResource]
    amount: Amount
    deposit_invoice: str | None
    corrects: Corrected | None
    reason_code: ReversalReason | None
    reason: str


class PaymentOnAccountResource(msgspec.Struct, frozen=True):
    """A payment that a document counts as paid, in whole or in part."""

    payment: str
    method: str
    paid_on: date
    amount: Amount


class InvoiceResource(msgspec.Struct, frozen=True):
    """An invoice, a deposit invoice or a credit note, as it was issued; see `Invoice`."""

    number: str
    kind: DocumentKind
    booking: str
    folio: int
    issued_at: datetime
    business_date: date
    seller: Party
    buyer: Party
    stay: DocumentStay
    language: str
    lines: list[DocumentLineResource]
    totals: list[TaxTotalResource]
    net: Amount
    tax: Amount
    total: Amount
    paid: Amount
    payments: list[PaymentOnAccountResource]
    due: Amount
    due_on: date
    bank: BankAccount | None
    note: str
    credits: str | None
    replaces: str | None
    reason: str
    credit_notes: tuple[str, ...]
    credited_by: str | None
    settled_by: str | None
    version: int


def invoice(source: Invoice) -> InvoiceResource:
    """An invoice or a credit note."""
    currency = source.currency
    return InvoiceResource(
        number=source.number,
        kind=source.kind,
        booking=source.booking,
        folio=source.folio,
        issued_at=instant(source.issued_at),
        business_date=source.business_date,
        seller=source.seller,
        buyer=source.buyer,
        stay=source.stay,
        language=source.language,
        lines=[document_line(position, one, currency) for position, one in enumerate(source.lines, 1)],
        totals=[_total(total, currency) for total in source.totals],
        net=money(source.net, currency),
        tax=money(source.tax, currency),
        total=money(source.total, currency),
        paid=money(source.paid, currency),
        payments=[
            PaymentOnAccountResource(one.payment, one.method, one.paid_on, money(one.amount, currency))
            for one in source.payments
        ],
        due=money(source.due, currency),
        due_on=source.due_on,
        bank=source.bank,
        note=source.note,
        credits=source.credits,
        replaces=source.replaces,
        reason=source.reason,
        credit_notes=source.credit_notes,
        credited_by=source.credited_by,
        settled_by=source.settled_by,
        version=source.version,
    )


def document_line(position: int, source: DocumentLine, currency: str) -> DocumentLineResource:
    """One line of a document."""
    return DocumentLineResource(
        position=position,
        line=source.line,
        text=source.text,
        charge=source.charge,
        supplied_on=source.supplied_on,
        night=source.night,
        room=source.room,
        quantity=source.quantity,
        unit_net=Amount(unit_price(source.net, source.quantity, currency), currency),
        net=money(source.net, currency),
        taxes=taxes(source.taxes, currency),
        amount=money(source.amount, currency),
        deposit_invoice=source.deposit_invoice,
        corrects=source.corrects,
        reason_code=source.reason_code,
        reason=source.reason,
    )


def _total(source: TaxTotal, currency: str) -> TaxTotalResource:
    return TaxTotalResource(
        code=source.code,
        name=source.name,
        rate=render_percent(source.rate),
        net=money(source.net, currency),
        tax=money(source.tax, currency),
        gross=money(source.gross, currency),
        category=source.category,
        exemption=source.exemption,
    )
