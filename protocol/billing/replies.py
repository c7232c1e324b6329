"""What a hotel's ledger answers when it does not refuse. Amounts are minor units of `currency`."""

import msgspec
from innkeeper.protocol.billing.folio import Bill, DepositDue, Folio, Invoice, Ledger, Payment
from innkeeper.protocol.messages.reply import Reply


class HeardReply(Reply, frozen=True):
    """The ledger has heard of the event; of the reservations' events up to `heard` it will hear nothing new."""

    hotel: str
    heard: int


class LedgerReply(Reply, frozen=True):
    """The hotel as billing knows it, with its terms."""

    ledger: Ledger


class BillReply(Reply, frozen=True):
    """All folios of a booking as they stand, and its deposits in the order of their days."""

    currency: str
    bill: Bill
    deposits: tuple[DepositDue, ...] = ()


class FolioReply(Reply, frozen=True):
    """One folio as it stands."""

    currency: str
    booking: str
    folio: Folio


class PaymentReply(Reply, frozen=True):
    """One payment as it stands."""

    currency: str
    booking: str
    payment: Payment


class InvoiceReply(Reply, frozen=True):
    """One invoice or credit note."""

    invoice: Invoice


class InvoicesReply(Reply, frozen=True):
    """Some invoices and credit notes, and how many of them there are from the first to the last."""

    invoices: tuple[Invoice, ...]
    number: int


class AccountBalance(msgspec.Struct, frozen=True, gc=False):
    """What stands on one account: debits are positive, credits negative."""

    account: str
    amount: int


class TrialBalanceReply(Reply, frozen=True):
    """All accounts by name; they add up to zero. `guests` is what all folios together have as their balance, which is
    what the account `guest_ledger` has."""

    currency: str
    accounts: tuple[AccountBalance, ...]
    guests: int


class LedgerStateReply(Reply, frozen=True):
    """A ledger's whole state: what a snapshot keeps."""

    ledger: Ledger
    hotel_seq: int
    heard: int
    lines_posted: int
    bills: tuple[Bill, ...]
    documents: tuple[Invoice, ...]
    accounts: tuple[AccountBalance, ...]


BILLING_REPLIES: tuple[type[Reply], ...] = (
    HeardReply, LedgerReply, BillReply, FolioReply, PaymentReply, InvoiceReply, InvoicesReply, TrialBalanceReply,
    LedgerStateReply,
)  # fmt: skip
