"""Checks of the documents of a booking, from the documents alone."""

from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing.folio import DocumentKind
from innkeeper.protocol.reservations.transitions import NOT_ENDED


def check_invoiced(state: LedgerState, booking: str, folio: int) -> None:
    """Check after an invoice of an ended stay that the documents of the folio are what was charged on it."""
    bill = state.bills[booking]
    if bill.stay.status not in NOT_ENDED and folio <= len(bill.folios):
        invoiced = sum(document.total for document in state.documents_of(booking) if document.folio == folio)
        assert invoiced == bill.folios[folio - 1].charged, "the documents are not what was charged"


def check_deposits(state: LedgerState, booking: str) -> None:
    """Check after a deposit invoice that what is invoiced of the nights is not above their price."""
    documents = state.documents_of(booking)
    nights = sum(line.amount for document in documents for line in document.lines if line.night is not None)
    deposits = [one for one in documents if one.kind is DocumentKind.DEPOSIT_INVOICE]
    left = sum(one.total for one in deposits if one.settled_by is None and one.credited_by is None)
    assert nights + left <= state.bills[booking].stay.price, "deposits are invoiced above the price"
