"""What a client sees of billing: bills, folios, payments, invoices and the ledger, and how replies become that."""

from datetime import date, datetime

import msgspec
from innkeeper.http.api.resources import Amount
from innkeeper.protocol.billing.folio import (
    DocumentKind,
    Folio,
    FolioLine,
    Invoice,
    LineKind,
    LinePosition,
    Payment,
    PaymentStatus,
    TaxTotal,
)
from innkeeper.protocol.billing.replies import BillReply, LedgerReply, TrialBalanceReply
from innkeeper.protocol.billing.terms import ChargeKind, Deposit, Party, Tax
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.money import render


class TaxResource(msgspec.Struct, frozen=True):
    """How much of a line is this tax; `rate` in percent, "0" for a tax per guest and night."""

    code: str
    rate: str
    amount: Amount


class LineResource(msgspec.Struct, frozen=True):
    """A line of a folio. What raises the balance is positive, what lowers it negative."""

    id: int
    kind: LineKind
    business_date: date
    charge: ChargeKind | None
    text: str
    quantity: int
    night: date | None
    amount: Amount
    net: Amount
    taxes: list[TaxResource]
    payment: str | None
    reverses: int | None
    reversed_by: int | None
    moved_from: LinePosition | None
    moved_to: tuple[LinePosition, ...]
    invoice: str | None


class PaymentResource(msgspec.Struct, frozen=True):
    """A payment. Only what was captured, less what was refunded, counts."""

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
    """One account of a booking, and who pays it."""

    number: int
    buyer: Party
    charged: Amount
    balance: Amount
    lines: list[LineResource]
    payments: list[PaymentResource]


class DepositResource(msgspec.Struct, frozen=True):
    """What is to be paid by a day, and how much of that has been."""

    due: date
    amount: Amount
    covered: Amount


class BillResource(msgspec.Struct, frozen=True):
    """All folios of a booking. `balance` is what is still owed: charges − payments."""

    booking: str
    charged: Amount
    paid: Amount
    balance: Amount
    folios: list[FolioResource]
    deposits: list[DepositResource]


class TotalResource(msgspec.Struct, frozen=True):
    """What a document has under one tax; without a code, what bears none by rate."""

    code: str
    name: str
    rate: str
    net: Amount
    tax: Amount
    gross: Amount


class InvoiceResource(msgspec.Struct, frozen=True):
    """An invoice or a credit note, as it was issued."""

    number: str
    kind: DocumentKind
    booking: str
    folio: int
    issued_at: datetime
    business_date: date
    seller: Party
    buyer: Party
    lines: list[LineResource]
    totals: list[TotalResource]
    net: Amount
    total: Amount
    credits: str | None
    credited_by: str | None
    reason: str


class TaxTermsResource(msgspec.Struct, frozen=True):
    """A tax that the hotel charges."""

    code: str
    name: str
    applies_to: tuple[ChargeKind, ...]
    rate: int
    per_night: Amount | None
    included: bool
    exempt_below: int


class BillingTermsResource(msgspec.Struct, frozen=True):
    """On which terms the hotel bills; a tax's `rate` in basis points: 600 is 6 %."""

    hotel: str
    currency: str
    business_date: date
    seller: Party
    taxes: list[TaxTermsResource]
    deposits: tuple[Deposit, ...]
    invoice_prefix: str
    credit_note_prefix: str


class AccountResource(msgspec.Struct, frozen=True):
    """What stands on an account: debits are positive, credits negative."""

    account: str
    balance: Amount


class TrialBalanceResource(msgspec.Struct, frozen=True):
    """All accounts of a hotel; they add up to zero. `guests` is what all folios together still owe."""

    hotel: str
    guests: Amount
    accounts: list[AccountResource]


def money(units: int, currency: str) -> Amount:
    """An amount in minor units."""
    return Amount(render(units, currency), currency)


def percent(basis_points: int) -> str:
    """600 → "6", 1925 → "19.25"."""
    return f"{basis_points / 100:g}"


def bill(reply: BillReply) -> BillResource:
    """A booking's bill."""
    told, currency = reply.bill, reply.currency
    return BillResource(
        booking=told.booking,
        charged=money(told.charged, currency),
        paid=money(told.paid, currency),
        balance=money(told.balance, currency),
        folios=[folio(one, currency) for one in told.folios],
        deposits=[
            DepositResource(deposit.due, money(deposit.amount, currency), money(deposit.covered, currency))
            for deposit in reply.deposits
        ],
    )


def folio(told: Folio, currency: str) -> FolioResource:
    """One folio."""
    return FolioResource(
        number=told.number,
        buyer=told.buyer,
        charged=money(told.charged, currency),
        balance=money(told.balance, currency),
        lines=[line(one, currency) for one in told.lines],
        payments=[payment(one, currency) for one in told.payments],
    )


def line(told: FolioLine, currency: str) -> LineResource:
    """One line."""
    return LineResource(
        id=told.id,
        kind=told.kind,
        business_date=told.business_date,
        charge=told.charge,
        text=told.text,
        quantity=told.quantity,
        night=told.night,
        amount=money(told.amount, currency),
        net=money(told.net, currency),
        taxes=[TaxResource(tax.code, percent(tax.rate), money(tax.amount, currency)) for tax in told.taxes],
        payment=told.payment,
        reverses=told.reverses,
        reversed_by=told.reversed_by,
        moved_from=told.moved_from,
        moved_to=told.moved_to,
        invoice=told.invoice,
    )


def payment(told: Payment, currency: str) -> PaymentResource:
    """One payment."""
    return PaymentResource(
        id=told.id,
        folio=told.folio,
        method=told.method,
        status=told.status,
        amount=money(told.amount, currency),
        captured=money(told.captured, currency),
        refunded=money(told.refunded, currency),
        started_at=instant(told.started_at),
        reference=told.reference,
        reason=told.reason,
    )


def invoice(told: Invoice) -> InvoiceResource:
    """An invoice or a credit note."""
    currency = told.currency
    return InvoiceResource(
        number=told.number,
        kind=told.kind,
        booking=told.booking,
        folio=told.folio,
        issued_at=instant(told.issued_at),
        business_date=told.business_date,
        seller=told.seller,
        buyer=told.buyer,
        lines=[line(one, currency) for one in told.lines],
        totals=[_total(total, currency) for total in told.totals],
        net=money(told.net, currency),
        total=money(told.total, currency),
        credits=told.credits,
        credited_by=told.credited_by,
        reason=told.reason,
    )


def _total(told: TaxTotal, currency: str) -> TotalResource:
    return TotalResource(
        code=told.code,
        name=told.name,
        rate=percent(told.rate),
        net=money(told.net, currency),
        tax=money(told.tax, currency),
        gross=money(told.gross, currency),
    )


def billing_terms(reply: LedgerReply) -> BillingTermsResource:
    """A hotel's terms of billing."""
    ledger, terms = reply.ledger, reply.ledger.terms
    return BillingTermsResource(
        hotel=ledger.hotel,
        currency=ledger.currency,
        business_date=ledger.business_date,
        seller=terms.seller,
        taxes=[_tax_terms(tax, ledger.currency) for tax in terms.taxes],
        deposits=terms.deposits,
        invoice_prefix=terms.invoice_prefix,
        credit_note_prefix=terms.credit_note_prefix,
    )


def _tax_terms(tax: Tax, currency: str) -> TaxTermsResource:
    per_night = money(tax.per_night, currency) if tax.per_night else None
    return TaxTermsResource(
        tax.code, tax.name, tax.applies_to, tax.rate, per_night, tax.included, tax.exempt_below
    )  # fmt: skip


def trial_balance(hotel: str, reply: TrialBalanceReply) -> TrialBalanceResource:
    """A hotel's accounts."""
    currency = reply.currency
    accounts = [AccountResource(one.account, money(one.amount, currency)) for one in reply.accounts]
    return TrialBalanceResource(hotel, money(reply.guests, currency), accounts)
