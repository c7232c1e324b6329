"""Carries out payments with providers: billing's events become requests to a provider, and the provider's notifications
become commands to billing.

The requests follow from billing's log, so that a crash loses none: a request is repeated with the same payment id, and
the provider carries it out once. Only notifications with a valid signature are accepted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from innkeeper.delivery.webhooks.signing import check_signature, signature_headers
from innkeeper.protocol.billing import events
from innkeeper.protocol.billing.commands import SettlePayment
from innkeeper.protocol.billing.events import (
    PaymentEvent,
    PaymentRecorded,
    PaymentRefunded,
    PaymentStarted,
    PaymentVoided,
)
from innkeeper.protocol.billing.folio import PaymentStatus
from innkeeper.protocol.billing.payments import (
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
from innkeeper.protocol.messages.refusals import NotFound, Refusal, Refused, Unavailable, invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.payment_operations import PaymentOperation, ProviderUnreachable
from innkeeper.protocol.ports.service_store import Transaction
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values.contexts import DELIVERY, RESERVATIONS

_update = msgspec.json.Decoder(PaymentUpdate)


class Payments:
    """Connects all providers to billing's message bus."""

    def __init__(self, bus: MessageBus, providers: Mapping[str, Provider], clock: Callable[[], int]) -> None:
        self._bus = bus
        self._providers = providers
        self._clock = clock
        self.handlers: dict[type, Callable[[Any, Transaction], Awaitable[Reply]]] = {
            ReceiveProviderNotification: self.receive
        }

    def operations(self, entries: Sequence[LogEntry]) -> list[PaymentOperation]:
        """What providers are to do after these events; nothing for payments by hand, such as cash."""
        return [
            PaymentOperation(record.id, record.hotel, record.hotel_seq, wire.event_type(event), event.payment)
            for _, record in entries
            if PAYMENT_EVENTS[type(event := record.event)] is not None
            and isinstance(event, PaymentEvent)
            and (not isinstance(event, PaymentRecorded | PaymentRefunded) or event.method in self._providers)
        ]

    async def carry_out(self, record: RecordedEvent) -> None:
        """Carries out the operation that follows from an event. Raises `ProviderUnreachable`, and `Stalled` where
        billing cannot be asked."""
        carry_out = PAYMENT_EVENTS[type(record.event)]
        assert carry_out is not None
        await carry_out(self, record, record.event)

    async def receive(self, message: ReceiveProviderNotification, _: Transaction) -> PaymentUpdateReply:
        """Handles a notification. Refuses one without a valid signature of the provider. The payment's own id makes a
        repetition harmless."""
        provider = self._providers.get(message.provider)
        if provider is None:
            raise Refused(NotFound("payment provider", message.provider))
        check_signature(provider.secrets, message.headers, message.body, self._clock() // 1_000_000)
        try:
            news = _update.decode(message.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid("body", "form", f"expected the notification of a payment: {error}") from None
        await self._settle(news, message.provider)
        return PaymentUpdateReply(news)

    async def start(self, record: RecordedEvent, event: PaymentStarted) -> None:
        """Starts a payment that is still pending."""
        known = await self._known(record.hotel, event.payment)
        if known.payment.status is not PaymentStatus.PENDING:
            return
        provider = self._providers.get(event.method)
        wanted = PaymentInstruction(
            payment=event.payment, hotel=record.hotel, booking=event.booking, amount=event.amount,
            currency=known.currency, capture=event.capture, token=event.token,
        )  # fmt: skip
        news: PaymentUpdate | None
        if provider is None:
            reason = f"there is no payment provider {event.method!r} any more"
            news = PaymentUpdate(hotel=record.hotel, payment=event.payment, outcome="failed", reason=reason)
        else:
            news = await provider.start(wanted)
        if news is not None:
            await self._settle(news, event.method)

    async def capture(self, _: RecordedEvent, event: PaymentRecorded) -> None:
        """Captures the authorised amount, or less."""
        if (provider := self._providers.get(event.method)) is not None:  # otherwise a manual payment, such as cash
            await provider.capture(event.payment, -event.line.amount)

    async def refund(self, record: RecordedEvent, event: PaymentRefunded) -> None:
        """Refunds an amount, once for each event."""
        if (provider := self._providers.get(event.method)) is not None:
            await provider.refund(event.payment, record.id, event.line.amount)

    async def void(self, record: RecordedEvent, event: PaymentVoided) -> None:
        """Cancels a payment that is not captured."""
        method = (await self._known(record.hotel, event.payment)).payment.method
        if (provider := self._providers.get(method)) is not None:
            await provider.void(event.payment)

    async def _known(self, hotel: str, payment: str) -> PaymentReply:
        reply = await self._ask(ShowPayment(hotel, payment), "payments")
        assert isinstance(reply, PaymentReply)
        return reply

    async def _settle(self, news: PaymentUpdate, provider: str) -> None:
        known = await self._known(news.hotel, news.payment)
        if known.payment.method != provider:
            raise Refused(NotFound("payment", news.payment))
        settle = SettlePayment(
            news.hotel, news.payment, outcome=news.outcome, reference=news.reference, reason=news.reason
        )  # fmt: skip
        await self._ask(settle, provider)

    async def _ask(self, message: Command | Query, by: str) -> Reply:
        result = (await self._bus.ask(Envelope(message, by=by))).response
        if isinstance(result, Unavailable):
            raise Stalled(result.reason)
        if isinstance(result, Refusal):
            raise Refused(result)
        return result


PAYMENT_EVENTS = EventTable[Callable[[Payments, RecordedEvent, Any], Awaitable[None]]](
    "payments",
    handles={
        PaymentStarted: Payments.start,
        PaymentRecorded: Payments.capture,
        PaymentRefunded: Payments.refund,
        PaymentVoided: Payments.void,
    },
    ignores=(
        events.LedgerTimelineBegun, events.LedgerBookingsLost, events.LedgerOpened,
        events.LedgerDayOpened, events.LedgerTermsOfSaleChanged,
        events.LedgerRenamed, events.BillingTermsChanged,
        events.FolioOpened, events.FolioTermsChanged, events.BuyerChanged, events.LedgerGuestForgotten,
        events.ChargePosted, events.ChargeReversed,
        events.PaymentAuthorised, events.PaymentFailed, events.BookingPaid, events.InvoiceIssued,
        events.PaymentMoved,
        events.DepositInvoiceIssued,
        events.CreditNoteIssued,
    ),
    not_followed=(RESERVATIONS, DELIVERY),
)  # fmt: skip

PAYMENT_EVENT_TYPES = wire.type_names(PAYMENT_EVENTS.handles)
"""What `Payments.handle` subscribes to, in the log of billing."""


ReceiveNotification = Callable[[ReceiveProviderNotification], Awaitable[object]]
"""Receives a notification from a provider."""


class SimulatedProvider:
    """A provider for demos and tests. The token selects the outcome: `decline` fails, `late` leaves the payment
    pending, `late-3` settles it with a notification after 3 seconds; to one with `away-3` it refuses to answer for 3
    seconds, with `hang-3` it is silent for so long; with `lost` the first answer is lost. Any other succeeds at once.
    It carries out a payment once, however often it is asked. Its state is not stored."""

    def __init__(self, name: str, secret: str, notify: ReceiveNotification, clock: Callable[[], int]) -> None:
        self.secrets: tuple[str, ...] = (secret,)
        self._name = name
        self._notify = notify
        self._clock = clock
        self._late: set[asyncio.Task[None]] = set()
        self._asked_at: dict[str, int] = {}

    async def start(self, wanted: PaymentInstruction) -> PaymentUpdate | None:
        """See `protocol.billing.payments.Provider`."""
        outcome, reason = ("captured" if wanted.capture else "authorised"), ""
        name, _, seconds = wanted.token.partition("-")
        await self._fail(name, int(seconds) if seconds.isdigit() else 0, wanted.payment)
        if name == "decline":
            outcome, reason = "failed", "the bank declined"
        news = msgspec.convert(
            {"hotel": wanted.hotel, "payment": wanted.payment, "outcome": outcome, "reason": reason,
             "reference": f"sim-{wanted.payment}"}, PaymentUpdate,
        )  # fmt: skip
        if name != "late":
            return news
        if seconds.isdigit():
            task = asyncio.create_task(self._notify_late(news, min(int(seconds), _LATE_SECONDS_MAX)))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        return None

    async def _fail(self, kind: str, seconds: int, payment: str) -> None:
        """Fails, or is silent, as the token says."""
        is_first, asked_at = payment not in self._asked_at, self._asked_at.setdefault(payment, self._clock())
        has_ended = self._clock() - asked_at >= seconds * 1_000_000
        if kind == "lost" and is_first:
            raise ProviderUnreachable("the answer was lost")
        if kind == "away" and not has_ended:
            raise ProviderUnreachable("the provider does not answer")
        if kind == "hang" and not has_ended:
            await asyncio.Event().wait()

    async def _notify_late(self, news: PaymentUpdate, seconds: int) -> None:
        await asyncio.sleep(seconds)
        body = msgspec.json.encode(news)
        headers = signature_headers(self.secrets, news.payment, self._clock() // 1_000_000, body)
        await self._notify(ReceiveProviderNotification(self._name, headers, body))

    async def capture(self, payment: str, amount: int) -> None:
        """See `protocol.billing.payments.Provider`."""

    async def void(self, payment: str) -> None:
        """See `protocol.billing.payments.Provider`."""

    async def refund(self, payment: str, refund: str, amount: int) -> None:
        """See `protocol.billing.payments.Provider`."""


_LATE_SECONDS_MAX = 3_600
