"""The saga of a hold that is paid online: it is confirmed once it is paid, or the money goes back.

The saga follows the events of billing and has no state of its own. A payment that was started for a hold, and is
authorised or captured, confirms the hold, under a key of the payment; where the hold has ended meanwhile, the payment
is voided or refunded, under another one. So every step may be repeated after a crash: a command that was carried out
has the same reply, and one whose key is forgotten by then finds that it is done. What an authorisation reserved for a
hold that has ended, billing voids by itself.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from innkeeper.protocol.billing import events
from innkeeper.protocol.billing.commands import RefundPayment, VoidPayment
from innkeeper.protocol.billing.payment import PaymentStatus
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
from innkeeper.protocol.ports.subscriptions import Effects, NotAccepted, Retry, check_available, no_effects
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.commands import ConfirmBooking
from innkeeper.protocol.values.contexts import BILLING, DELIVERY, RESERVATIONS
from innkeeper.protocol.values.limits import subscriber_retry_seconds

_AUTHOR = "hold-payments"
_WAIT = Retry(0, subscriber_retry_seconds)
"""A hotel of which billing does not know enough yet waits by itself; nothing has failed."""


class HoldPayments:
    """Handles the events of billing; `buses` are those of reservations and billing."""

    def __init__(self, buses: Mapping[str, MessageBus]) -> None:
        self._buses = buses

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `EventHandler`."""
        for _, record in entries:
            rule = HOLD_PAYMENT_RULES[type(record.event)]
            if rule is not None:
                await rule(self, record, record.event)
        return no_effects

    async def paid(self, record: RecordedEvent, event: events.PaymentAuthorised | events.PaymentRecorded) -> None:
        """Confirms the hold for which the payment was started, or gives the money back."""
        known = await self._ask(BILLING, ShowPayment(record.hotel, event.payment), record)
        if not isinstance(known, PaymentReply) or not known.payment.for_hold:
            return
        confirm = ConfirmBooking(record.hotel, event.booking)
        confirmed = await self._ask(RESERVATIONS, confirm, record, f"hold-paid:{event.payment}")
        if isinstance(confirmed, Refusal):
            await self._not_confirmed(record, event.payment)

    async def _not_confirmed(self, record: RecordedEvent, payment: str) -> None:
        """Gives the money back where the hold has ended; a booking that somebody else has confirmed keeps it."""
        known = await self._ask(BILLING, ShowPayment(record.hotel, payment), record)
        if not isinstance(known, PaymentReply):
            return
        if known.booking_status is BookingStatus.HELD:
            raise NotAccepted("billing does not know yet how the hold has ended", _WAIT)
        if known.booking_status not in (BookingStatus.EXPIRED, BookingStatus.RELEASED):
            return
        command: Command | None = None
        if known.payment.status is PaymentStatus.AUTHORISED:
            command = VoidPayment(record.hotel, payment, "the hold has ended")
        elif known.payment.status is PaymentStatus.CAPTURED:
            command = RefundPayment(record.hotel, payment, reason="the hold has ended")
        if command is not None:
            await self._ask(BILLING, command, record, f"hold-ended:{command.name}:{payment}")

    async def _ask(
        self, context: str, message: Command | Query, record: RecordedEvent, key: str | None = None
    ) -> Reply | Refusal:
        """The reply; a refusal says that it is done, or cannot be. Raises `Stalled` where there is none yet, and
        another error where there is none of this hotel."""
        result = await self._buses[context].ask(Envelope(message, key, record.correlation, _AUTHOR))
        check_available(result.response)
        if isinstance(result.response, Unavailable):
            raise Refused(result.response)
        if isinstance(result.response, NotFound) and context == BILLING:
            raise RuntimeError(f"billing does not know a payment of its own: {result.response}")
        return result.response


HOLD_PAYMENT_RULES = EventTable[Callable[[HoldPayments, RecordedEvent, Any], Awaitable[None]]](
    "the saga of paid holds",
    handles={events.PaymentAuthorised: HoldPayments.paid, events.PaymentRecorded: HoldPayments.paid},
    ignores=(
        events.LedgerTimelineBegun, events.LedgerBookingsLost, events.LedgerOpened, events.LedgerDayOpened,
        events.LedgerTermsOfSaleChanged, events.LedgerRenamed, events.BillingTermsChanged, events.FolioOpened,
        events.FolioTermsChanged, events.BuyerChanged, events.LedgerGuestForgotten, events.ChargePosted,
        events.ChargeReversed, events.PaymentStarted, events.PaymentActionRequired, events.PaymentOperationRequested,
        events.PaymentOperationRefused, events.PaymentFailed, events.PaymentVoided, events.PaymentRefunded,
        events.PaymentRefundFailed,
        events.PaymentChargedBack, events.PaymentChargebackClosed, events.PaymentReturned, events.PaymentNewsKept,
        events.PaymentMoved, events.BookingPaid, events.InvoiceIssued, events.DepositInvoiceIssued,
        events.CreditNoteIssued,
    ),
    not_followed=(RESERVATIONS, DELIVERY),
)  # fmt: skip

HOLD_PAYMENT_EVENT_TYPES = wire.type_names(HOLD_PAYMENT_RULES.handles)
"""What the saga subscribes to, in the log of billing."""
