"""Carries out payments with providers: billing's events become requests to a provider, and what it answers or reports
becomes a command to billing.

The requests follow from billing's log, so that a crash loses none: a request is repeated under the same key, and the
provider carries it out once. Its answer, a refusal too, is reported to billing, which counts only what the provider has
agreed to. Only notifications with a valid signature are accepted.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from innkeeper.protocol.billing import events
from innkeeper.protocol.billing.commands import SettlePayment
from innkeeper.protocol.billing.events import PaymentEvent, PaymentOperationRequested, PaymentStarted
from innkeeper.protocol.billing.payment import PaymentAction, PaymentStatus, RefusalCode
from innkeeper.protocol.billing.payments import (
    OperationInstruction,
    PaymentInstruction,
    PaymentUpdate,
    PaymentUpdateReply,
    Provider,
    ReceiveProviderNotification,
)
from innkeeper.protocol.billing.queries import ShowPayment
from innkeeper.protocol.billing.replies import PaymentReply
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import NotFound, Refusal, Refused, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.payment_operations import PaymentOperation, ProviderUnreachable
from innkeeper.protocol.ports.service_store import Transaction
from innkeeper.protocol.ports.subscriptions import Stalled, check_available
from innkeeper.protocol.values.contexts import DELIVERY, RESERVATIONS
from innkeeper.protocol.values.instants import microseconds


class Payments:
    """Connects all providers to billing's message bus."""

    def __init__(self, bus: MessageBus, providers: Mapping[str, Provider]) -> None:
        self._bus = bus
        self._providers = providers
        self.handlers: dict[type, Callable[[Any, Transaction], Awaitable[Reply]]] = {
            ReceiveProviderNotification: self.receive
        }

    def operations(self, entries: Sequence[LogEntry]) -> list[PaymentOperation]:
        """What providers are to do after these events."""
        return [
            PaymentOperation(record.id, record.hotel, record.hotel_seq, wire.event_type(event), event.payment)
            for _, record in entries
            if PAYMENT_EVENTS[type(event := record.event)] is not None and isinstance(event, PaymentEvent)
        ]

    async def carry_out(self, record: RecordedEvent) -> None:
        """Carries out the operation that follows from an event. Raises `ProviderUnreachable`, and `Stalled` where
        billing cannot be asked."""
        carry_out = PAYMENT_EVENTS[type(record.event)]
        assert carry_out is not None
        await carry_out(self, record, record.event)

    async def receive(self, message: ReceiveProviderNotification, _: Transaction) -> PaymentUpdateReply:
        """Handles a notification. Refuses one without a valid signature of the provider. What it reports has ids, which
        make a repetition harmless."""
        provider = self._providers.get(message.provider)
        if provider is None:
            raise Refused(NotFound("payment provider", message.provider))
        try:
            updates = tuple(await provider.read(message.headers, message.body))
        except ProviderUnreachable as error:
            raise Refused(Unavailable(f"the provider does not answer: {error}")) from None
        try:
            for update in updates:
                await self._settle(update, message.provider)
        except Stalled as stalled:
            raise Refused(Unavailable(f"billing does not answer: {stalled}")) from None
        return PaymentUpdateReply(updates)

    async def start(self, record: RecordedEvent, event: PaymentStarted) -> None:
        """Starts a payment that is still pending, unless it is to be voided already."""
        known = await self._known(record.hotel, event.payment)
        if known.payment.status is not PaymentStatus.PENDING or known.payment.pending:
            return
        provider = self._providers.get(event.method)
        update: PaymentUpdate | None
        if provider is None:
            update = PaymentUpdate(
                hotel=record.hotel, payment=event.payment, outcome="failed", code=RefusalCode.NOT_POSSIBLE,
                reason=_gone(event.method),
            )  # fmt: skip
        else:
            update = await provider.start(_instruction(record.hotel, known, event.token))
        if update is not None:
            await self._settle(update, event.method)

    async def operate(self, record: RecordedEvent, event: PaymentOperationRequested) -> None:
        """Asks the provider for an operation under the id of its event, and reports the answer."""
        known = await self._known(record.hotel, event.payment)
        if event.operation.number not in [one.number for one in known.payment.pending]:
            return
        method, number = known.payment.method, event.operation.number
        provider = self._providers.get(method)
        update: PaymentUpdate | None
        if provider is None:
            update = PaymentUpdate(
                hotel=record.hotel, payment=event.payment, outcome="refused", operation=number,
                code=RefusalCode.NOT_POSSIBLE, reason=_gone(method),
            )  # fmt: skip
        else:
            asked = OperationInstruction(number=number, key=record.id, amount=event.operation.amount)
            carry_out = _OPERATIONS[event.operation.action]
            update = await carry_out(provider, _instruction(record.hotel, known, known.payment.token), asked)
        if update is not None:
            await self._settle(update, method)

    async def _known(self, hotel: str, payment: str) -> PaymentReply:
        reply = await self._ask(ShowPayment(hotel, payment), "payments")
        assert isinstance(reply, PaymentReply)
        return reply

    async def _settle(self, update: PaymentUpdate, provider: str) -> None:
        known = await self._known(update.hotel, update.payment)
        if known.payment.method != provider:
            raise Refused(NotFound("payment", update.payment))
        settle = SettlePayment(
            update.hotel, update.payment, outcome=update.outcome, reference=update.reference, reason=update.reason,
            amount=update.amount, id=update.id, operation=update.operation, code=update.code,
            at=0 if update.at is None else microseconds(update.at),
            expires_at=0 if update.expires_at is None else microseconds(update.expires_at),
            next_action=update.next_action,
        )  # fmt: skip
        await self._ask(settle, provider)

    async def _ask(self, message: Command | Query, by: str) -> Reply:
        result = (await self._bus.ask(Envelope(message, by=by))).response
        check_available(result)
        if isinstance(result, Refusal):
            raise Refused(result)
        return result


def _instruction(hotel: str, known: PaymentReply, token: str) -> PaymentInstruction:
    payment = known.payment
    return PaymentInstruction(
        payment=payment.id, hotel=hotel, booking=known.booking, amount=payment.amount, currency=known.currency,
        capture=payment.capture, token=token, started_at=payment.started_at, reference=payment.reference,
    )  # fmt: skip


def _gone(provider: str) -> str:
    return f"there is no payment provider {provider!r} any more"


_OPERATIONS: dict[PaymentAction, Callable[..., Awaitable[PaymentUpdate | None]]] = {
    PaymentAction.CAPTURE: lambda provider, *asked: provider.capture(*asked),
    PaymentAction.VOID: lambda provider, *asked: provider.void(*asked),
    PaymentAction.REFUND: lambda provider, *asked: provider.refund(*asked),
}

PAYMENT_EVENTS = EventTable[Callable[[Payments, RecordedEvent, Any], Awaitable[None]]](
    "payments",
    handles={
        PaymentStarted: Payments.start,
        PaymentOperationRequested: Payments.operate,
    },
    ignores=(
        events.LedgerTimelineBegun, events.LedgerBookingsLost, events.LedgerOpened,
        events.LedgerDayOpened, events.LedgerTermsOfSaleChanged,
        events.LedgerRenamed, events.BillingTermsChanged,
        events.FolioOpened, events.FolioTermsChanged, events.BuyerChanged, events.LedgerGuestForgotten,
        events.ChargePosted, events.ChargeReversed,
        events.PaymentActionRequired, events.PaymentAuthorised, events.PaymentOperationRefused, events.PaymentRecorded,
        events.PaymentFailed, events.PaymentVoided, events.PaymentRefunded, events.PaymentRefundFailed,
        events.PaymentChargedBack,
        events.PaymentChargebackClosed, events.PaymentReturned, events.PaymentNewsKept, events.PaymentMoved,
        events.BookingPaid, events.InvoiceIssued, events.DepositInvoiceIssued, events.CreditNoteIssued,
    ),
    not_followed=(RESERVATIONS, DELIVERY),
)  # fmt: skip

PAYMENT_EVENT_TYPES = wire.type_names(PAYMENT_EVENTS.handles)
"""What the payments subscribe to, in the log of billing."""
