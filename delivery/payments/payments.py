"""Payments that a provider gets: what billing wants goes to the provider, and the provider's news go back to billing.

Billing's own log says what is to be done, so nothing is forgotten in a crash: the provider is asked again, under the
same name, and does it once. Its notifications come signed, and are believed only then.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from innkeeper.delivery.webhooks.signing import check_signature, signature_headers
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
    NewsTaken,
    PaymentNews,
    PaymentWanted,
    Provider,
    ProviderAway,
    TellOfPayment,
)
from innkeeper.protocol.billing.queries import ShowPayment
from innkeeper.protocol.billing.replies import PaymentReply
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.refusals import NotFound, Refusal, Refused, Unavailable, invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.message_bus import Envelope, MessageBus
from innkeeper.protocol.ports.subscriptions import Effects, Stalled

logger = logging.getLogger(__name__)

TYPES = ("innkeeper.payment.*",)
"""What it subscribes to, in the log of billing."""

_news = msgspec.json.Decoder(PaymentNews)


class Payments:
    """All providers, before the desk of billing."""

    def __init__(self, desk: MessageBus, providers: Mapping[str, Provider], clock: Callable[[], int]) -> None:
        self._desk = desk
        self._providers = providers
        self._clock = clock
        self.answering: dict[type, Callable[[Any], Awaitable[Reply]]] = {TellOfPayment: self.subscribe}

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `protocol.subscribing.Handle`."""
        for _, record in entries:
            event = record.event
            if not isinstance(event, PaymentEvent):
                continue
            try:
                await self._carry_out(record, event)
            except ProviderAway as error:
                raise Stalled(str(error)) from error
        return _kept

    async def subscribe(self, message: TellOfPayment) -> NewsTaken:
        """A notification came: believe it if the provider has signed it."""
        provider = self._providers.get(message.provider)
        if provider is None:
            raise Refused(NotFound("payment provider", message.provider))
        check_signature(provider.secrets, message.headers, message.body, self._clock() // 1_000_000)
        try:
            news = _news.decode(message.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid("body", "form", f"expected the news of a payment: {error}") from None
        await self._settle(news, message.provider)
        return NewsTaken(news)

    async def _carry_out(self, record: RecordedEvent, event: PaymentEvent) -> None:
        if isinstance(event, PaymentStarted):
            await self._start(record, event)
            return
        method = event.method if isinstance(event, PaymentRecorded | PaymentRefunded) else ""
        if isinstance(event, PaymentVoided):
            method = (await self._known(record.hotel, event.payment)).payment.method
        provider = self._providers.get(method)
        if provider is None:  # money that was handed over
            return
        match event:
            case PaymentRecorded():
                await provider.capture(event.payment, -event.line.amount)
            case PaymentRefunded():
                await provider.refund(event.payment, record.id, event.line.amount)
            case PaymentVoided():
                await provider.void(event.payment)

    async def _start(self, record: RecordedEvent, event: PaymentStarted) -> None:
        known = await self._known(record.hotel, event.payment)
        if known.payment.status is not PaymentStatus.PENDING:
            return
        provider = self._providers.get(event.method)
        wanted = PaymentWanted(
            payment=event.payment, hotel=record.hotel, booking=event.booking, amount=event.amount,
            currency=known.currency, capture=event.capture, token=event.token,
        )  # fmt: skip
        news: PaymentNews | None
        if provider is None:
            reason = f"there is no provider {event.method} here any more"
            news = PaymentNews(hotel=record.hotel, payment=event.payment, outcome="failed", reason=reason)
        else:
            news = await provider.ask(wanted)
        if news is not None:
            await self._settle(news, event.method)

    async def _known(self, hotel: str, payment: str) -> PaymentReply:
        reply = await self._ask(ShowPayment(hotel, payment), "payments")
        assert isinstance(reply, PaymentReply)
        return reply

    async def _settle(self, news: PaymentNews, provider: str) -> None:
        known = await self._known(news.hotel, news.payment)
        if known.payment.method != provider:
            raise Refused(NotFound("payment", news.payment))
        settle = SettlePayment(
            news.hotel, news.payment, outcome=news.outcome, reference=news.reference, reason=news.reason
        )  # fmt: skip
        await self._ask(settle, provider)

    async def _ask(self, message: Command | Query, by: str) -> Reply:
        answer = (await self._desk.ask(Envelope(message, by=by))).answer
        if isinstance(answer, Unavailable):
            raise Stalled(answer.reason)
        if isinstance(answer, Refusal):
            raise Refused(answer)
        return answer


def _kept() -> None:
    return


Notify = Callable[[TellOfPayment], Awaitable[object]]
"""Takes a notification as it comes from a provider."""


class SimulatedProvider:
    """A provider for demos and tests. The token says what it does: `decline` refuses, `late` or `late-3` (seconds)
    leaves the answer to a notification, anything else gets the money at once. It forgets everything when it ends."""

    def __init__(self, name: str, secret: str, notify: Notify, clock: Callable[[], int]) -> None:
        self.secrets: tuple[str, ...] = (secret,)
        self._name = name
        self._notify = notify
        self._clock = clock
        self._late: set[asyncio.Task[None]] = set()

    async def ask(self, wanted: PaymentWanted) -> PaymentNews | None:
        """See `protocol.payments.Provider`."""
        outcome, reason = ("captured" if wanted.capture else "authorised"), ""
        name, _, seconds = wanted.token.partition("-")
        if name == "decline":
            outcome, reason = "failed", "the bank declined"
        news = msgspec.convert(
            {"hotel": wanted.hotel, "payment": wanted.payment, "outcome": outcome, "reason": reason,
             "reference": f"sim-{wanted.payment}"}, PaymentNews,
        )  # fmt: skip
        if name != "late":
            return news
        if seconds.isdigit():
            task = asyncio.create_task(self._tell_late(news, min(int(seconds), _LATE_SECONDS_MAX)))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        return None

    async def _tell_late(self, news: PaymentNews, seconds: int) -> None:
        await asyncio.sleep(seconds)
        body = msgspec.json.encode(news)
        headers = signature_headers(self.secrets, news.payment, self._clock() // 1_000_000, body)
        await self._notify(TellOfPayment(self._name, headers, body))

    async def capture(self, payment: str, amount: int) -> None:
        """See `protocol.payments.Provider`."""

    async def void(self, payment: str) -> None:
        """See `protocol.payments.Provider`."""

    async def refund(self, payment: str, refund: str, amount: int) -> None:
        """See `protocol.payments.Provider`."""


_LATE_SECONDS_MAX = 3_600
