"""The resources of billing (bills, folios, payments, invoices, the ledger), and their rendering from replies."""

from datetime import date, datetime

import msgspec
from innkeeper.http.api.resources import Amount
from innkeeper.protocol.billing.folio import (
    Corrected,
    DocumentKind,
    DocumentLine,
    DocumentStay,
    Folio,
    FolioLine,
    Invoice,
    LineKind,
    LinePosition,
    Payment,
    PaymentStatus,
    ReversalReason,
    TaxTotal,
)
from innkeeper.protocol.billing.replies import BillReply, LedgerReply, OwedBalance, TrialBalanceReply
from innkeeper.protocol.billing.terms import BankAccount, Party
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.money import render, unit_price
from innkeeper.protocol.values.percentage import render_percent
from innkeeper.protocol.values.taxes import ChargeKind, TaxAmount, TaxCategory


class TaxResource(msgspec.Struct, frozen=True):
    """The amount of a tax in a line; `rate` in percent, "0" for a tax per guest and night, of the amount `base`."""

    code: str
    rate: str
    base: Amount
    amount: Amount


class FolioLineResource(msgspec.Struct, frozen=True):
    """A line of a folio. A positive amount raises the balance, a negative one lowers it."""

    id: int
    kind: LineKind
    business_date: date
    charge: ChargeKind | None
    text: str
    quantity: int
    night: date | None
    room: str
    supplied_on: date
    amount: Amount
    net: Amount
    taxes: list[TaxResource]
    payment: str | None
    reverses: int | None
    reason_code: ReversalReason | None
    reason: str
    reversed_by: int | None
    moved_from: LinePosition | None
    moved_to: tuple[LinePosition, ...]
    invoice: str | None


class PaymentResource(msgspec.Struct, frozen=True):
    """A payment. It reduces the balance by the captured amount less the refunded one."""

    id: str
    folio: int
    method: str
    status: PaymentStatus
    amount: Amount
    captured: Amount
    refunded: Amount
    started_at: datetime
    reference: str
    reason: str


class FolioResource(msgspec.Struct, frozen=True):
    """One account of a booking, and its payer: null once forgotten."""

    number: int
    buyer: Party | None
    charged: Amount
    balance: Amount
    lines: list[FolioLineResource]
    payments: list[PaymentResource]


class DepositResource(msgspec.Struct, frozen=True):
    """The amount due by a day, and the part of it that has been paid."""

    due: date
    amount: Amount
    covered: Amount


class BillResource(msgspec.Struct, frozen=True):
    """All folios of a booking. `balance` is the amount still owed: charges − payments."""

    booking: str
    charged: Amount
    paid: Amount
    balance: Amount
    folios: list[FolioResource]
    deposits: list[DepositResource]


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


class BillingTermsResource(msgspec.Struct, frozen=True):
    """The terms on which a hotel bills."""

    hotel: str
    currency: str
    business_date: date
    seller: Party
    invoice_prefix: str
    credit_note_prefix: str
    payment_days: int
    language: str
    bank: BankAccount | None
    note: str


class OpenBalanceResource(msgspec.Struct, frozen=True):
    """A stay that is over, or was not made, and for which `balance` is owed. `guest` is None once forgotten."""

    booking: str
    locator: str
    guest: str | None
    status: BookingStatus
    departure: date
    balance: Amount


class AccountResource(msgspec.Struct, frozen=True):
    """The balance of an account: debits are positive, credits negative."""

    account: str
    balance: Amount


class TrialBalanceResource(msgspec.Struct, frozen=True):
    """All accounts of a hotel, which add up to zero. `guests` is the amount that all folios together still owe."""

    hotel: str
    guests: Amount
    accounts: list[AccountResource]


def money(units: int, currency: str) -> Amount:
    """An amount in minor units."""
    return Amount(render(units, currency), currency)


def bill(reply: BillReply) -> BillResource:
    """A booking's bill."""
    source, currency = reply.bill, reply.currency
    return BillResource(
        booking=source.booking,
        charged=money(source.charged, currency),
        paid=money(source.paid, currency),
        balance=money(source.balance, currency),
        folios=[folio(one, currency) for one in source.folios],
        deposits=[
            DepositResource(deposit.due, money(deposit.amount, currency), money(deposit.covered, currency))
            for deposit in reply.deposits
        ],
    )


def folio(source: Folio, currency: str) -> FolioResource:
    """One folio."""
    return FolioResource(
        number=source.number,
        buyer=None if source.buyer.details is None else Party.of(source.buyer.details),
        charged=money(source.charged, currency),
        balance=money(source.balance, currency),
        lines=[line(one, currency) for one in source.lines],
        payments=[payment(one, currency) for one in source.payments],
    )


def line(source: FolioLine, currency: str) -> FolioLineResource:
    """One line."""
    return FolioLineResource(
        id=source.id,
        kind=source.kind,
        business_date=source.business_date,
        charge=source.charge,
        text=source.text,
        quantity=source.quantity,
        night=source.night,
        room=source.room,
        supplied_on=source.supplied,
        amount=money(source.amount, currency),
        net=money(source.net, currency),
        taxes=_taxes(source.taxes, currency),
        payment=source.payment,
        reverses=source.reverses,
        reason_code=source.reason_code,
        reason=source.reason,
        reversed_by=source.reversed_by,
        moved_from=source.moved_from,
        moved_to=source.moved_to,
        invoice=source.invoice,
    )


def payment(source: Payment, currency: str) -> PaymentResource:
    """One payment."""
    return PaymentResource(
        id=source.id,
        folio=source.folio,
        method=source.method,
        status=source.status,
        amount=money(source.amount, currency),
        captured=money(source.captured, currency),
        refunded=money(source.refunded, currency),
        started_at=instant(source.started_at),
        reference=source.reference,
        reason=source.reason,
    )


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
        taxes=_taxes(source.taxes, currency),
        amount=money(source.amount, currency),
        deposit_invoice=source.deposit_invoice,
        corrects=source.corrects,
        reason_code=source.reason_code,
        reason=source.reason,
    )


def _taxes(taxes: tuple[TaxAmount, ...], currency: str) -> list[TaxResource]:
    return [
        TaxResource(tax.code, render_percent(tax.rate), money(tax.base, currency), money(tax.amount, currency))
        for tax in taxes
    ]


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


def billing_terms(reply: LedgerReply) -> BillingTermsResource:
    """A hotel's terms of billing."""
    ledger, terms = reply.ledger, reply.ledger.terms
    return BillingTermsResource(
        hotel=ledger.hotel,
        currency=ledger.currency,
        business_date=ledger.business_date,
        seller=terms.seller,
        invoice_prefix=terms.invoice_prefix,
        credit_note_prefix=terms.credit_note_prefix,
        payment_days=terms.payment_days,
        language=terms.language,
        bank=terms.bank,
        note=terms.note,
    )


def open_balance(owed: OwedBalance, currency: str) -> OpenBalanceResource:
    """What is owed for one stay."""
    return OpenBalanceResource(
        owed.booking, owed.locator, owed.guest.name or None, owed.status, owed.departure, money(owed.balance, currency)
    )


def trial_balance(hotel: str, reply: TrialBalanceReply) -> TrialBalanceResource:
    """A hotel's accounts."""
    currency = reply.currency
    accounts = [AccountResource(one.account, money(one.amount, currency)) for one in reply.accounts]
    return TrialBalanceResource(hotel, money(reply.guests, currency), accounts)
