"""The table of a payment's transitions decides: the lives of some payments notice every wrong or missing entry."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from innkeeper.protocol.billing import events
from innkeeper.protocol.billing.commands import CapturePayment, RefundPayment, ReturnPayment, VoidPayment
from innkeeper.protocol.billing.payment import Payment, PaymentStatus
from innkeeper.protocol.billing.transitions import KEEPING_STATUS, PAYMENT_TRANSITIONS
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import Refused
from support.billing_fixture import LedgerFixture, eur
from support.partition_fixture import HOTEL

Entry = tuple[PaymentStatus | None, type[Event]]
PENDING, AUTHORISED, CAPTURED = PaymentStatus.PENDING, PaymentStatus.AUTHORISED, PaymentStatus.CAPTURED
FAILED, VOIDED, REFUNDED = PaymentStatus.FAILED, PaymentStatus.VOIDED, PaymentStatus.REFUNDED
RETURNED = PaymentStatus.RETURNED


class PaymentsOfAGuest(LedgerFixture):
    """A ledger with a guest, who makes one payment of 10.00."""

    def __init__(self) -> None:
        super().__init__()
        self.booking = self.book()
        self.made: Payment | None = None

    def current(self) -> Payment:
        """The payment."""
        assert self.made is not None
        return self.made

    def take(self, step: str) -> type[Event]:
        """Takes a step of the payment's life; the type of its event that may change the status."""
        before = len(self.records)
        self.made = STEPS[step](self)
        return next(type(one.event) for one in self.records[before:] if type(one.event) not in KEEPING_STATUS)


STEPS: dict[str, Callable[[PaymentsOfAGuest], Payment]] = {
    "pay cash": lambda guest: guest.record_payment(guest.booking, 1_000),
    "start": lambda guest: guest.start_payment(guest.booking, 1_000),
    "capture": lambda guest: guest.carry_out(CapturePayment(HOTEL, guest.current().id)),
    "void": lambda guest: guest.carry_out(VoidPayment(HOTEL, guest.current().id)),
    "return": lambda guest: guest.execute_payment(ReturnPayment(HOTEL, guest.current().id)),
    "is refunded": lambda guest: guest.settle_payment(guest.current(), "refunded", id="re-1"),
    "is not paid out": lambda guest: guest.settle_payment(guest.current(), "refund_failed", id="re-1"),
    "is returned": lambda guest: guest.settle_payment(guest.current(), "returned"),
    "refund a part": lambda guest: guest.execute_payment(RefundPayment(HOTEL, guest.current().id, eur(400))),
    "refund the rest": lambda guest: guest.execute_payment(RefundPayment(HOTEL, guest.current().id)),
    "is authorised": lambda guest: guest.settle_payment(guest.current(), "authorised"),
    "is captured": lambda guest: guest.settle_payment(guest.current(), "captured"),
    "fails": lambda guest: guest.settle_payment(guest.current(), "failed"),
    "is voided": lambda guest: guest.settle_payment(guest.current(), "voided"),
}


class Stage(NamedTuple):
    """A step of a life, the event that records it, and the status after it."""

    step: str
    kind: type[Event]
    status: PaymentStatus


START = Stage("start", events.PaymentStarted, PENDING)
AUTHORISE = Stage("is authorised", events.PaymentAuthorised, AUTHORISED)
CAPTURE = Stage("is captured", events.PaymentRecorded, CAPTURED)

LIVES: dict[str, list[Stage]] = {
    "cash that is paid back": [
        Stage("pay cash", events.PaymentRecorded, CAPTURED),
        Stage("refund a part", events.PaymentRefunded, CAPTURED),
        Stage("refund the rest", events.PaymentRefunded, REFUNDED),
    ],
    "authorised and captured by the hotel": [
        START,
        AUTHORISE,
        Stage("capture", events.PaymentRecorded, CAPTURED),
        Stage("is refunded", events.PaymentRefunded, REFUNDED),
        Stage("is returned", events.PaymentReturned, RETURNED),
    ],
    "refunded at the provider, which could not pay it out": [
        START,
        CAPTURE,
        Stage("is refunded", events.PaymentRefunded, REFUNDED),
        Stage("is not paid out", events.PaymentRefundFailed, CAPTURED),
    ],
    "returned, and refunded as well": [
        START,
        CAPTURE,
        Stage("return", events.PaymentReturned, RETURNED),
        Stage("is refunded", events.PaymentRefunded, RETURNED),
    ],
    "captured at once": [START, CAPTURE],
    "failed, then captured": [START, Stage("fails", events.PaymentFailed, FAILED), CAPTURE],
    "voided by the provider, then captured": [START, Stage("is voided", events.PaymentVoided, VOIDED), CAPTURE],
    "authorised, then failed": [START, AUTHORISE, Stage("fails", events.PaymentFailed, FAILED)],
    "authorised, then voided by the hotel": [START, AUTHORISE, Stage("void", events.PaymentVoided, VOIDED)],
}


def live(stages: list[Stage]) -> None:
    """Lives a life; raises where the payment has not the status that it should have."""
    guest = PaymentsOfAGuest()
    for stage in stages:
        assert guest.take(stage.step) is stage.kind, stage
        assert guest.current().status is stage.status, stage


def entries_of(stages: list[Stage]) -> list[Entry]:
    """The entries of the table that a life uses, in order."""
    before = [None, *(stage.status for stage in stages)]
    return [(status, stage.kind) for status, stage in zip(before, stages, strict=False)]


LIFE_OF_ENTRY = {entry: stages for stages in LIVES.values() for entry in entries_of(stages)}
EACH_ENTRY = pytest.mark.parametrize(
    "entry", PAYMENT_TRANSITIONS, ids=lambda entry: f"{entry[0] or 'new'}-{entry[1].__name__}"
)


@pytest.mark.parametrize("life", LIVES)
def test_the_life_of_a_payment(life: str) -> None:
    live(LIVES[life])


def test_the_lives_use_every_entry_of_the_table() -> None:
    assert LIFE_OF_ENTRY.keys() == PAYMENT_TRANSITIONS.keys()


@EACH_ENTRY
def test_a_missing_entry_is_noticed(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(PAYMENT_TRANSITIONS, entry)
    with pytest.raises((KeyError, StopIteration, Refused)):  # StopIteration: the outcome is outdated
        live(LIFE_OF_ENTRY[entry])


@EACH_ENTRY
def test_a_wrong_status_is_noticed(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in set(PaymentStatus) - {PAYMENT_TRANSITIONS[entry]}:
        monkeypatch.setitem(PAYMENT_TRANSITIONS, entry, wrong)
        with pytest.raises((AssertionError, KeyError, StopIteration, Refused)):
            live(LIFE_OF_ENTRY[entry])
