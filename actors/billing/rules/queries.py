"""The replies of a ledger to queries. They only read the state."""

from collections.abc import Callable
from typing import Any

from innkeeper.actors.billing.rules.lookups import bill_reply, document_reply, find_bill, find_document, payment_reply
from innkeeper.actors.billing.rules.snapshot import describe
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing import queries
from innkeeper.protocol.billing.queries import OpenBalanceSide
from innkeeper.protocol.billing.replies import (
    AccountBalance,
    GuestAccountReply,
    InvoicesReply,
    LedgerReply,
    OpenBalance,
    OpenBalancesReply,
    StayBalance,
    TrialBalanceReply,
)
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import NotFound, Refused
from innkeeper.protocol.messages.reply import Reply


def answer(state: LedgerState, query: Query) -> Reply:
    """The reply to a query. Raises `Refused`."""
    if state.ledger is None:
        raise Refused(NotFound("hotel", query.hotel))
    return _REPLIES[type(query)](state, query)


def _terms(state: LedgerState, _: queries.ShowBillingTerms) -> Reply:
    return LedgerReply(state.opened())


def _bill(state: LedgerState, query: queries.ShowBill) -> Reply:
    return bill_reply(state, find_bill(state, query.booking))


def _payment(state: LedgerState, query: queries.ShowPayment) -> Reply:
    return payment_reply(state, query.payment)


def _invoice(state: LedgerState, query: queries.ShowInvoice) -> Reply:
    return document_reply(state, find_document(state, query.number))


def _invoices(state: LedgerState, query: queries.ListInvoices) -> Reply:
    documents = [*state.documents.values()] if query.booking is None else state.documents_of(query.booking)
    listed = documents[query.skip : query.skip + query.limit]
    return InvoicesReply(tuple(document_reply(state, document) for document in listed), len(documents))


def _guest_account(state: LedgerState, query: queries.ShowGuestAccount) -> Reply:
    bills = [bill for bill in state.bills.values() if bill.guest_id == query.guest]
    unbalanced = tuple(OpenBalance(bill.booking, bill.balance) for bill in bills if bill.balance)
    documents = tuple(one.number for one in state.documents.values() if one.guest_id == query.guest)
    return GuestAccountReply(state.opened().currency, query.guest, unbalanced, documents)


def _open_balances(state: LedgerState, query: queries.ListOpenBalances) -> Reply:
    listed = {
        None: state.owed_by_guests | state.owed_to_guests,
        OpenBalanceSide.OWED_BY_GUEST: state.owed_by_guests,
        OpenBalanceSide.OWED_TO_GUEST: state.owed_to_guests,
    }[query.side]
    found = sorted(booking for booking in listed if booking > query.after)
    bills = [state.bills[booking] for booking in found[: query.limit]]
    balances = tuple(
        StayBalance(
            bill.booking, bill.stay.locator, bill.folios[0].buyer, bill.stay.status, bill.stay.departure, bill.owed
        )
        for bill in bills
    )
    return OpenBalancesReply(state.opened().currency, balances, len(found) > query.limit)


def _trial_balance(state: LedgerState, _: queries.TrialBalance) -> Reply:
    accounts = tuple(AccountBalance(account, amount) for account, amount in sorted(state.accounts.items()))
    guests = sum(bill.balance for bill in state.bills.values())
    return TrialBalanceReply(state.opened().currency, accounts, guests)


def _state(state: LedgerState, _: queries.DescribeLedger) -> Reply:
    return describe(state)


_REPLIES: dict[type[Query], Callable[[LedgerState, Any], Reply]] = {
    queries.ShowBillingTerms: _terms,
    queries.ShowBill: _bill,
    queries.ShowPayment: _payment,
    queries.ShowInvoice: _invoice,
    queries.ListInvoices: _invoices,
    queries.ShowGuestAccount: _guest_account,
    queries.ListOpenBalances: _open_balances,
    queries.TrialBalance: _trial_balance,
    queries.DescribeLedger: _state,
}
