"""The replies of a hotel's ledger. Amounts are minor units of `currency`."""

from datetime import date
from typing import ClassVar

import msgspec
from innkeeper.protocol.billing.folio import Bill, DepositDue, Invoice, IssuedNumbers, LedgerDetails
from innkeeper.protocol.billing.payment import Payment
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.values.guests import Guest


class EventAppliedReply(Reply, frozen=True):
    """The ledger has applied the event; it ignores those of reservations up to the `hotel_seq` `applied_seq`."""

    name: ClassVar[str] = "event_applied.reply"
    hotel: str
    applied_seq: int


class LedgerReply(Reply, frozen=True):
    """The hotel in billing, with its terms."""

    name: ClassVar[str] = "ledger.reply"
    ledger: LedgerDetails


class BillReply(Reply, frozen=True):
    """All folios of a booking in their current state, and its deposits in the order of their dates."""

    name: ClassVar[str] = "bill.reply"
    currency: str
    bill: Bill
    deposits: tuple[DepositDue, ...] = ()


class PaymentReply(Reply, frozen=True):
    """One payment in its current state, and the status of its booking, as far as billing knows."""

    name: ClassVar[str] = "payment.reply"
    currency: str
    booking: str
    booking_status: BookingStatus
    payment: Payment


class InvoiceReply(Reply, frozen=True):
    """One invoice or credit note, and the guest of its booking, who is not always its buyer."""

    name: ClassVar[str] = "invoice.reply"
    invoice: Invoice
    guest: Guest

    @property
    def shown(self) -> Invoice:
        """The document with the name of the guest, as long as the guest is not forgotten."""
        stay = self.invoice.stay
        if stay.guest or not self.guest.name:
            return self.invoice
        return msgspec.structs.replace(self.invoice, stay=msgspec.structs.replace(stay, guest=self.guest.name))


class InvoicesReply(Reply, frozen=True):
    """A page of invoices and credit notes, each as `InvoiceReply`, and the number of all of them."""

    name: ClassVar[str] = "invoices.reply"
    invoices: tuple[InvoiceReply, ...]
    number: int


class OpenBalance(msgspec.Struct, frozen=True, gc=False):
    """A booking whose balance is not zero: below zero, the hotel owes it."""

    booking: str
    balance: int


class GuestAccountReply(Reply, frozen=True):
    """The bookings of a guest that are not balanced, and the numbers of the documents issued for the guest."""

    name: ClassVar[str] = "guest_account.reply"
    currency: str
    guest: str
    open: tuple[OpenBalance, ...]
    documents: tuple[str, ...]


class StayBalance(msgspec.Struct, frozen=True, gc=False):
    """What the guest owes for a booking, all its nights included; below zero, the hotel owes it to the guest."""

    booking: str
    locator: str
    guest: Guest
    status: BookingStatus
    departure: date
    balance: int


class OpenBalancesReply(Reply, frozen=True):
    """A page of the bookings for which something is owed; whether there are more."""

    name: ClassVar[str] = "open_balances.reply"
    currency: str
    balances: tuple[StayBalance, ...]
    more: bool


class AccountBalance(msgspec.Struct, frozen=True, gc=False):
    """The balance of one account: debits are positive, credits negative."""

    account: str
    amount: int


class TrialBalanceReply(Reply, frozen=True):
    """All accounts by name; their sum is zero. `guests` is the sum of the balances of all folios, which equals the
    account `guest_ledger`."""

    name: ClassVar[str] = "trial_balance.reply"
    currency: str
    accounts: tuple[AccountBalance, ...]
    guests: int


class LedgerStateReply(Reply, frozen=True):
    """A ledger's whole state, as a snapshot has it. `applied_seq`: see `EventAppliedReply`. `issued` are the highest
    numbers of all series."""

    name: ClassVar[str] = "ledger_state.reply"
    ledger: LedgerDetails
    hotel_seq: int
    applied_seq: int
    lines_posted: int
    bills: tuple[Bill, ...]
    documents: tuple[Invoice, ...]
    issued: tuple[IssuedNumbers, ...]
    accounts: tuple[AccountBalance, ...]


BILLING_REPLIES: tuple[type[Reply], ...] = (
    EventAppliedReply, LedgerReply, BillReply, PaymentReply, InvoiceReply, InvoicesReply, OpenBalancesReply,
    GuestAccountReply, TrialBalanceReply, LedgerStateReply,
)  # fmt: skip
