"""The resources of billing (bills, folios, payments, invoices, the ledger), and their rendering from replies."""

from datetime import date, datetime

import msgspec
from innkeeper.http.api.resources import Amount
from innkeeper.protocol.billing.folio import (
    Folio,
    FolioLine,
    LineKind,
    LinePosition,
    ReversalReason,
)
from innkeeper.protocol.billing.payment import (
    ChargebackStatus,
    HoldPaymentStatus,
    NextAction,
    OperationStatus,
    Payment,
    PaymentAction,
    PaymentStatus,
    RefusalCode,
    hold_payment_status,
)
from innkeeper.protocol.billing.payments import PaymentUpdate
from innkeeper.protocol.billing.replies import BillReply, LedgerReply, StayBalance, TrialBalanceReply
from innkeeper.protocol.billing.terms import BankAccount, Party
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.money import render
from innkeeper.protocol.values.percentage import render_percent
from innkeeper.protocol.values.taxes import ChargeKind, TaxAmount


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


class OperationResource(msgspec.Struct, frozen=True):
    """What a provider was asked to do with a payment. It has happened once `status` is `done`; `code` and `reason` say
    why it was refused."""

    number: int
    action: PaymentAction
    amount: Amount
    status: OperationStatus
    code: RefusalCode | None
    reason: str


class ChargebackResource(msgspec.Struct, frozen=True):
    """An objection of the guest's bank, which takes the amount back while it is open or lost."""

    id: str
    amount: Amount
    status: ChargebackStatus
    reason: str


class PaymentResource(msgspec.Struct, frozen=True):
    """A payment. It reduces the balance by the captured amount less what was refunded, charged back or returned.
    `refund_pending` waits for the provider, and is not refunded yet; what is authorised is reserved until `expires_at`,
    null where the provider did not say. `next_action` is what the guest has to do, for 3-D Secure. `hold` says of the
    payment of a hold whether the booking is confirmed, or the money goes back; null for any other."""

    id: str
    folio: int
    method: str
    status: PaymentStatus
    amount: Amount
    captured: Amount
    refunded: Amount
    refund_pending: Amount
    charged_back: Amount
    returned: Amount
    started_at: datetime
    expires_at: datetime | None
    reference: str
    code: RefusalCode | None
    reason: str
    next_action: NextAction | None
    hold: HoldPaymentStatus | None
    operations: list[OperationResource]
    chargebacks: list[ChargebackResource]


class PaymentNotificationResource(msgspec.Struct, frozen=True):
    """What a provider's notification reported."""

    updates: tuple[PaymentUpdate, ...]


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
    """All folios of a booking. `balance` is the amount still owed: charges − payments; `reserved` is authorised on the
    guest's account, and not captured."""

    booking: str
    charged: Amount
    paid: Amount
    reserved: Amount
    balance: Amount
    folios: list[FolioResource]
    deposits: list[DepositResource]


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
    """A stay that is over, or was not made, and for which `balance` is owed; or, below zero, one for which more was
    paid than all its nights and charges cost. `guest` is None once forgotten."""

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
        reserved=money(sum(payment.reserved for payment in source.payments), currency),
        balance=money(source.balance, currency),
        folios=[folio(one, currency, source.stay.status) for one in source.folios],
        deposits=[
            DepositResource(deposit.due, money(deposit.amount, currency), money(deposit.covered, currency))
            for deposit in reply.deposits
        ],
    )


def folio(source: Folio, currency: str, booking: BookingStatus) -> FolioResource:
    """One folio of a booking with this status."""
    return FolioResource(
        number=source.number,
        buyer=None if source.buyer.details is None else Party.of(source.buyer.details),
        charged=money(source.charged, currency),
        balance=money(source.balance, currency),
        lines=[line(one, currency) for one in source.lines],
        payments=[payment(one, currency, booking) for one in source.payments],
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
        taxes=taxes(source.taxes, currency),
        payment=source.payment,
        reverses=source.reverses,
        reason_code=source.reason_code,
        reason=source.reason,
        reversed_by=source.reversed_by,
        moved_from=source.moved_from,
        moved_to=source.moved_to,
        invoice=source.invoice,
    )


def payment(source: Payment, currency: str, booking: BookingStatus) -> PaymentResource:
    """One payment of a booking with this status."""
    return PaymentResource(
        id=source.id,
        folio=source.folio,
        method=source.method,
        status=source.status,
        amount=money(source.amount, currency),
        captured=money(source.captured, currency),
        refunded=money(source.refunded, currency),
        refund_pending=money(source.refund_pending, currency),
        charged_back=money(source.charged_back, currency),
        returned=money(source.returned, currency),
        started_at=instant(source.started_at),
        expires_at=instant(source.expires_at) if source.expires_at else None,
        reference=source.reference,
        code=source.code,
        reason=source.reason,
        next_action=source.next_action,
        hold=hold_payment_status(source, booking),
        operations=[
            OperationResource(one.number, one.action, money(one.amount, currency), one.status, one.code, one.reason)
            for one in source.operations
        ],
        chargebacks=[
            ChargebackResource(one.id, money(one.amount, currency), one.status, one.reason)
            for one in source.chargebacks
        ],
    )


def taxes(source: tuple[TaxAmount, ...], currency: str) -> list[TaxResource]:
    """The taxes of a line."""
    return [
        TaxResource(tax.code, render_percent(tax.rate), money(tax.base, currency), money(tax.amount, currency))
        for tax in source
    ]


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


def open_balance(owed: StayBalance, currency: str) -> OpenBalanceResource:
    """What is owed for one stay."""
    return OpenBalanceResource(
        owed.booking, owed.locator, owed.guest.name or None, owed.status, owed.departure, money(owed.balance, currency)
    )


def trial_balance(hotel: str, reply: TrialBalanceReply) -> TrialBalanceResource:
    """A hotel's accounts."""
    currency = reply.currency
    accounts = [AccountResource(one.account, money(one.amount, currency)) for one in reply.accounts]
    return TrialBalanceResource(hotel, money(reply.guests, currency), accounts)
