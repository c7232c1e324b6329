"""A ledger's whole state as one value: its snapshot, from which it is restored."""

from collections.abc import Mapping

from innkeeper.actors.billing.rules.state import LedgerState, keep_bill
from innkeeper.protocol.billing.folio import IssuedNumbers
from innkeeper.protocol.billing.replies import AccountBalance, LedgerStateReply
from innkeeper.protocol.values.guests import GuestDetails, GuestKey, bare, with_details, without_details


def describe(state: LedgerState) -> LedgerStateReply:
    """The whole state as one value, without details of guests. Ledgers with the same events have equal values."""
    return LedgerStateReply(
        ledger=state.opened(),
        hotel_seq=state.seq,
        applied_seq=state.applied_seq,
        lines_posted=state.lines_posted,
        bills=tuple(map(bare, sorted(state.bills.values(), key=lambda bill: bill.booking))),
        documents=tuple(state.documents.values()),
        issued=tuple(IssuedNumbers(*series, number) for series, number in sorted(state.issued.items())),
        accounts=tuple(AccountBalance(account, amount) for account, amount in sorted(state.accounts.items())),
    )


def restore(described: LedgerStateReply) -> LedgerState:
    """The state from the value that `describe` made of it."""
    state = LedgerState(described.ledger, described.hotel_seq, described.applied_seq, described.lines_posted)
    for bill in described.bills:
        keep_bill(state, bill)
        state.payments |= {payment.id: bill.booking for folio in bill.folios for payment in folio.payments}
    state.documents = {document.number: document for document in described.documents}
    for document in described.documents:
        state.numbers.setdefault(document.booking, []).append(document.number)
    state.issued = {(known.kind, known.series): known.number for known in described.issued}
    state.accounts = {balance.account: balance.amount for balance in described.accounts}
    return state


def lacking_details(state: LedgerState) -> list[GuestKey]:
    """What the details of the buyers are stored under that the state does not have: it was made from the journal."""
    return without_details(state.bills.values())


def add_details(state: LedgerState, found: Mapping[GuestKey, GuestDetails]) -> None:
    """Adds the details that were found. Those of forgotten guests are not."""
    state.bills = {booking: with_details(bill, found) for booking, bill in state.bills.items()}
