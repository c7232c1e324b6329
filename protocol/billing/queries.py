"""What a hotel's ledger can be asked. A query changes nothing; its answer holds everything acknowledged before it."""

from typing import Annotated

from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.values import limits
from msgspec import Meta


class ShowBillingTerms(Query, frozen=True):
    """The terms on which the hotel bills."""


class ShowBill(Query, frozen=True):
    """All folios of a booking, and the deposits that are due."""

    booking: str


class ShowFolio(Query, frozen=True):
    """One folio of a booking."""

    booking: str
    folio: int = 1


class ShowPayment(Query, frozen=True):
    """One payment."""

    payment: str


class ShowInvoice(Query, frozen=True):
    """One invoice or credit note, by its number."""

    number: str


class ListInvoices(Query, frozen=True):
    """Invoices and credit notes in the order of their issue, all or a booking's: so many, after the first `skip`."""

    booking: str | None = None
    skip: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1, le=limits.list_entries_max)] = limits.list_entries_default


class TrialBalance(Query, frozen=True):
    """What stands on each account of the ledger; all of it together is zero."""


class DescribeLedger(Query, frozen=True):
    """All that the ledger knows, as its snapshot; for the journal's keeper and for auditors."""


BILLING_QUERIES: tuple[type[Query], ...] = (
    ShowBillingTerms, ShowBill, ShowFolio, ShowPayment, ShowInvoice, ListInvoices, TrialBalance, DescribeLedger,
)  # fmt: skip
