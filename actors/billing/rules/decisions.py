"""The decisions of a ledger: a command leads to events or to a refusal. They do not change the state.

`DECISIONS` maps each command to its rule. A decision that brings the balance of a bill to zero adds `BookingPaid`, one
after which nothing is owed lets go of what is reserved.
"""

from collections.abc import Callable
from typing import Any

from innkeeper.actors.billing.rules.corrections import issue_credit_note, reissue_invoice
from innkeeper.actors.billing.rules.discounts import post_discount
from innkeeper.actors.billing.rules.double_entry import DOUBLE_ENTRY, entries
from innkeeper.actors.billing.rules.folios import move_charges, open_folio, post_charge, reverse_charge, split_charge
from innkeeper.actors.billing.rules.invoicing import issue_deposit_invoice, issue_invoice
from innkeeper.actors.billing.rules.lookups import Decision, find_bill, find_document, find_payment
from innkeeper.actors.billing.rules.numbering import check_prefixes
from innkeeper.actors.billing.rules.payment_moves import move_payment
from innkeeper.actors.billing.rules.payments import (
    capture_payment,
    record_payment,
    refund_payment,
    return_payment,
    settle_payment,
    start_payment,
    void_payment,
)
from innkeeper.actors.billing.rules.releases import with_releases
from innkeeper.actors.billing.rules.reservation_events import derive_events
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing import commands, events
from innkeeper.protocol.billing.replies import EventAppliedReply, LedgerReply
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import NotFound, Refused, StaleVersion


def decide(state: LedgerState, command: Command, envelope: Envelope) -> Decision:
    """The decision on a command of billing. Raises `Refused`, but never for an event of reservations."""
    if isinstance(command, commands.ApplyReservationEvent):
        return _apply_event(state, command, envelope.salt)
    if state.ledger is None:
        raise Refused(NotFound("hotel", command.hotel))
    if envelope.if_version is not None:
        _check_version(state, command, envelope.if_version)
    decision = DECISIONS[type(command)](state, command, envelope)
    return Decision(with_releases(state, _with_paid(state, decision.events)), decision.reply)


def _check_version(state: LedgerState, command: Command, expected: int) -> None:
    """Refuses a command for a resource that is of another version, or does not exist."""
    match command:
        case commands.BillCommand(booking=booking):
            version = find_bill(state, booking).version
        case commands.PaymentCommand(payment=payment):
            version = find_payment(state, payment).version
        case commands.IssueCreditNote(number=number) | commands.ReissueInvoice(number=number):
            version = find_document(state, number).version
        case _:
            version = state.opened().version
    if version != expected:
        raise Refused(StaleVersion(version))


def _apply_event(state: LedgerState, command: commands.ApplyReservationEvent, salt: bytes) -> Decision:
    followed = with_releases(state, _with_paid(state, derive_events(state, command.record, salt)))
    return Decision(followed, lambda state: EventAppliedReply(command.hotel, state.applied_seq), command.record.id)


def _with_paid(state: LedgerState, done: tuple[Event, ...]) -> tuple[Event, ...]:
    """The events, and `BookingPaid` for each booking that was charged and whose balance becomes zero."""
    balance: dict[str, int] = {}
    charged: dict[str, int] = {}
    for event in done:
        for _, amount, folio in entries(event):
            if folio is not None:
                balance[folio[0]] = balance.get(folio[0], 0) + amount
        if type(event) in DOUBLE_ENTRY.handles:
            posting: Any = event
            if posting.line is None:
                continue
            if posting.line.is_charge:
                charged[posting.booking] = charged.get(posting.booking, 0) + posting.line.amount
    paid = []
    for booking, change in balance.items():
        bill = state.bills[booking]
        amount = bill.charged + charged.get(booking, 0)
        if change and bill.balance + change == 0 and amount > 0:
            paid.append(events.BookingPaid(booking, amount))
    return (*done, *paid)


def _change_terms(state: LedgerState, command: commands.ChangeBillingTerms, envelope: Envelope) -> Decision:
    terms = command.request.terms()
    check_prefixes(state, terms)
    done = () if terms == state.opened().terms else (events.BillingTermsChanged(terms),)
    return Decision(done, lambda state: LedgerReply(state.opened()))


DECISIONS: dict[type[Command], Callable[[LedgerState, Any, Envelope], Decision]] = {
    commands.ChangeBillingTerms: _change_terms,
    commands.OpenFolio: open_folio,
    commands.PostCharge: post_charge,
    commands.PostDiscount: post_discount,
    commands.ReverseCharge: reverse_charge,
    commands.MoveCharges: move_charges,
    commands.SplitCharge: split_charge,
    commands.RecordPayment: record_payment,
    commands.StartPayment: start_payment,
    commands.SettlePayment: settle_payment,
    commands.CapturePayment: capture_payment,
    commands.VoidPayment: void_payment,
    commands.RefundPayment: refund_payment,
    commands.ReturnPayment: return_payment,
    commands.MovePayment: move_payment,
    commands.IssueInvoice: issue_invoice,
    commands.IssueDepositInvoice: issue_deposit_invoice,
    commands.IssueCreditNote: issue_credit_note,
    commands.ReissueInvoice: reissue_invoice,
}
