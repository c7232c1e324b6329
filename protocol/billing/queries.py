"""The queries of a hotel's ledger. A query changes nothing; its reply includes everything acknowledged before it."""

from enum import StrEnum
from typing import Annotated, ClassVar

from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.values import limits
from msgspec import Meta


class ShowBillingTerms(Query, frozen=True):
    """Return the hotel's billing terms."""

    name: ClassVar[str] = "billing_terms.show"


class ShowBill(Query, frozen=True):
    """Return all folios of a booking, and its deposits."""

    name: ClassVar[str] = "bill.show"
    booking: str


class ShowPayment(Query, frozen=True):
    """Return one payment."""

    name: ClassVar[str] = "payment.show"
    payment: str


class ShowInvoice(Query, frozen=True):
    """Return one invoice or credit note by its number."""

    name: ClassVar[str] = "invoice.show"
    number: str


class ShowGuestAccount(Query, frozen=True):
    """Return what the guest's bookings owe, and the documents issued for them."""

    name: ClassVar[str] = "guest_account.show"
    guest: str


class OpenBalanceSide(StrEnum):
    """On which side something is owed: by the guest of a booking that has ended, or to the guest, ended or not."""

    OWED_BY_GUEST = "owed_by_guest"
    OWED_TO_GUEST = "owed_to_guest"


class ListOpenBalances(Query, frozen=True):
    """List `limit` bookings for which something is owed on this side, or on either, by their ids, after `after`."""

    name: ClassVar[str] = "open_balances.list"
    side: OpenBalanceSide | None = None
    after: str = ""
    limit: Annotated[int, Meta(ge=1, le=limits.list_entries_max)] = limits.list_entries_default


class ListInvoices(Query, frozen=True):
    """List `limit` invoices and credit notes in the order of issue, after the first `skip`; all or a booking's."""

    name: ClassVar[str] = "invoices.list"
    booking: str | None = None
    skip: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=limits.list_entries_max)] = limits.list_entries_default


class TrialBalance(Query, frozen=True):
    """Return the balance of each account of the ledger; their sum is zero."""

    name: ClassVar[str] = "trial_balance.show"


class DescribeLedger(Query, frozen=True):
    """Return the ledger's whole state, as its snapshot has it; for the partition's host and for auditors."""

    name: ClassVar[str] = "ledger_state.describe"


BILLING_QUERIES: tuple[type[Query], ...] = (
    ShowBillingTerms, ShowBill, ShowPayment, ShowInvoice, ListInvoices, ListOpenBalances, ShowGuestAccount,
    TrialBalance, DescribeLedger,
)  # fmt: skip
