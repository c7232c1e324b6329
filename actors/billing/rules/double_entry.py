"""Double entry: the entries that each event makes in the accounts. The entries of an event add up to zero.

Debits are positive, credits negative. The guest ledger is what guests owe, by folio; the other accounts are revenue by
kind of charge, tax payable by tax, and a clearing account for each method of payment, to be settled with the bank.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from innkeeper.protocol.billing import events
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.values.contexts import DELIVERY, RESERVATIONS

GUEST_LEDGER = "guest_ledger"


class AccountEntry(NamedTuple):
    """An amount in minor units on an account. An entry of the guest ledger has its `folio` (booking and number)."""

    account: str
    amount: int
    folio: tuple[str, int] | None = None


def entries(event: Event) -> tuple[AccountEntry, ...]:
    """The entries of an event; none, where it changes no debt and moves no money."""
    rule = DOUBLE_ENTRY[type(event)]
    return () if rule is None else rule(event)


def change_of(event: Event, booking: str) -> int:
    """How much the event changes the balance of a booking."""
    return sum(entry.amount for entry in entries(event) if entry.folio is not None and entry.folio[0] == booking)


def _charge(event: events.ChargePosted | events.ChargeReversed) -> tuple[AccountEntry, ...]:
    assert event.line.charge is not None
    return (
        _guest(event, event.line.amount),
        AccountEntry(f"revenue:{event.line.charge.value}", -event.line.net),
        *(AccountEntry(f"tax:{tax.code}", -tax.amount) for tax in event.line.taxes),
    )


def _payment(event: Any) -> tuple[AccountEntry, ...]:
    """Of any event that moves the money of a payment; a chargeback that was won at once moves none,
    nor does a refund that never counted."""
    if event.line is None:
        return ()
    return (_guest(event, event.line.amount), AccountEntry(f"clearing:{event.method}", -event.line.amount))


def _moved(event: events.PaymentMoved) -> tuple[AccountEntry, ...]:
    there = AccountEntry(GUEST_LEDGER, event.moved.amount, (event.to.booking, event.to.folio))
    return (_guest(event, event.line.amount), there)


def _guest(event: events.FolioEvent, amount: int) -> AccountEntry:
    return AccountEntry(GUEST_LEDGER, amount, (event.booking, event.folio))


DOUBLE_ENTRY = EventTable[Callable[[Any], tuple[AccountEntry, ...]]](
    "double entry",
    handles={
        events.ChargePosted: _charge,
        events.ChargeReversed: _charge,
        events.PaymentRecorded: _payment,
        events.PaymentRefunded: _payment,
        events.PaymentRefundFailed: _payment,
        events.PaymentChargedBack: _payment,
        events.PaymentChargebackClosed: _payment,
        events.PaymentReturned: _payment,
        events.PaymentMoved: _moved,
    },
    ignores=(
        events.LedgerTimelineBegun, events.LedgerBookingsLost, events.LedgerOpened, events.LedgerDayOpened,
        events.LedgerTermsOfSaleChanged,
        events.LedgerRenamed, events.BillingTermsChanged, events.FolioOpened, events.FolioTermsChanged,
        events.BuyerChanged, events.LedgerGuestForgotten, events.PaymentStarted, events.PaymentAuthorised,
        events.PaymentActionRequired, events.PaymentOperationRequested, events.PaymentOperationRefused,
        events.PaymentNewsKept,
        events.PaymentFailed, events.PaymentVoided, events.BookingPaid, events.InvoiceIssued,
        events.DepositInvoiceIssued, events.CreditNoteIssued,
    ),
    not_followed=(RESERVATIONS, DELIVERY),
)  # fmt: skip
