"""Stripe as a payment provider: payment intents, with 3-D Secure, manual capture, partial refunds and disputes.

A payment is a payment intent, which is created first and confirmed then, so that a request whose answer was lost finds
what it made. Requests carry idempotency keys; as Stripe forgets those after a day, a start that is repeated later looks
for the intent, and a capture, void or refund looks first whether it has happened. What belongs to this installation is
known by the metadata of the intent. When money was captured, or was not, is said by Stripe's clock, never by ours: what
came first decides whether a failure is a return.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import aiohttp
from innkeeper.delivery.payments.stripe_values import money_of, outcome_of, stripe_amount
from innkeeper.protocol.billing.payment import NextAction, PaymentOutcome, RefusalCode
from innkeeper.protocol.billing.payments import OperationInstruction, PaymentInstruction, PaymentUpdate
from innkeeper.protocol.messages.refusals import BadSignature, Refused, invalid
from innkeeper.protocol.ports.payment_operations import ProviderUnreachable
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.money import Money
from stripe import (
    AIOHTTPClient,
    CardError,
    InvalidRequestError,
    SignatureVerificationError,
    StripeClient,
    StripeError,
    WebhookSignature,
)

_AGE_SECONDS_MAX = 5 * 60
_KEY_TRUSTED_SECONDS = 3_600
"""Stripe keeps an idempotency key for a day; much less is trusted, because clocks jump."""
_CLOCKS_APART_SECONDS = 3_600
_AUTHORISED_SECONDS = 7 * 24 * 3_600
_TEXT_MAX = 200
_WITH_CHARGE: Any = {"expand": ["latest_charge"]}


class StripeProvider:
    """A Stripe account. `installation` is the id of this installation, `secret` signs the account's notifications."""

    def __init__(self, client: StripeClient, secret: str, installation: str, clock: Callable[[], int]) -> None:
        self._client = client
        self._secret = secret
        self._installation = installation
        self._clock = clock

    async def start(self, wanted: PaymentInstruction) -> PaymentUpdate | None:
        """See `protocol.billing.payments.Provider`. Without a token the guest's browser goes on with the client
        secret."""
        try:
            intent = await self._intent(wanted)
            if intent["status"] == "requires_confirmation":
                confirmed = await self._client.v1.payment_intents.confirm_async(
                    intent["id"], _WITH_CHARGE, {"idempotency_key": f"{wanted.payment}-confirm"}
                )
                intent = confirmed.to_dict()
        except CardError as error:
            return self._update(wanted, "failed", code=RefusalCode.DECLINED, reason=_text(error))
        except InvalidRequestError as error:
            return self._update(wanted, "failed", code=RefusalCode.NOT_POSSIBLE, reason=_text(error))
        except StripeError as error:
            _unreachable(error)
        return self._state(wanted, intent)

    async def capture(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate | None:
        """See `protocol.billing.payments.Provider`."""

        async def carry_out(intent: Any) -> PaymentUpdate | None:
            amount = stripe_amount(operation.amount, wanted.currency)
            if intent["status"] == "requires_capture":
                await self._client.v1.payment_intents.capture_async(
                    intent["id"], {"amount_to_capture": amount}, {"idempotency_key": operation.key}
                )
                return self._update(wanted, "captured", operation, money_of(amount, wanted.currency), intent)
            if intent["status"] == "succeeded":
                received = money_of(intent.get("amount_received") or amount, wanted.currency)
                return self._update(wanted, "captured", operation, received, intent)
            code = RefusalCode.EXPIRED if intent["status"] == "canceled" else RefusalCode.NOT_POSSIBLE
            return self._refused(wanted, operation, code, f"the payment intent is {intent['status']}")

        return await self._operate(wanted, operation, carry_out)

    async def void(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate | None:
        """See `protocol.billing.payments.Provider`."""

        async def carry_out(intent: Any) -> PaymentUpdate | None:
            if intent["status"] in ("succeeded", "processing"):
                reason = f"the payment intent is {intent['status']}"
                return self._refused(wanted, operation, RefusalCode.NOT_POSSIBLE, reason)
            if intent["status"] != "canceled":
                await self._client.v1.payment_intents.cancel_async(
                    intent["id"], None, {"idempotency_key": operation.key}
                )
            return self._update(wanted, "voided", operation, None, intent)

        return await self._operate(wanted, operation, carry_out)

    async def refund(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate | None:
        """See `protocol.billing.payments.Provider`."""

        async def carry_out(intent: Any) -> PaymentUpdate | None:
            listed = await self._client.v1.refunds.list_async({"payment_intent": intent["id"], "limit": 100})
            async for one in listed.auto_paging_iter():
                made = one.to_dict()
                if (made.get("metadata") or {}).get("innkeeper_key") == operation.key:
                    return self._refund_update(wanted.hotel, wanted.payment, made)
            own = {"innkeeper_key": operation.key, "innkeeper_operation": str(operation.number)}
            refund = await self._client.v1.refunds.create_async(
                {
                    "payment_intent": intent["id"],
                    "amount": stripe_amount(operation.amount, wanted.currency),
                    "metadata": self._metadata(wanted) | own,
                },
                {"idempotency_key": operation.key},
            )
            return self._refund_update(wanted.hotel, wanted.payment, refund.to_dict())

        return await self._operate(wanted, operation, carry_out)

    async def _operate(
        self,
        wanted: PaymentInstruction,
        operation: OperationInstruction,
        carry_out: Callable[[Any], Awaitable[PaymentUpdate | None]],
    ) -> PaymentUpdate | None:
        try:
            return await carry_out(await self._intent(wanted))
        except CardError as error:
            return self._refused(wanted, operation, RefusalCode.DECLINED, _text(error))
        except InvalidRequestError as error:
            code = _CODES.get(error.code or "", RefusalCode.NOT_POSSIBLE)
            if error.http_status == 404:
                code = RefusalCode.UNKNOWN_PAYMENT
            return self._refused(wanted, operation, code, _text(error))
        except StripeError as error:
            _unreachable(error)

    async def _intent(self, wanted: PaymentInstruction) -> Any:
        """The payment intent. Making it moves no money, and under the key of the payment it is made once; where Stripe
        may have forgotten that key, the intent is looked for before it is made."""
        intents = self._client.v1.payment_intents
        if wanted.reference:
            return (await intents.retrieve_async(wanted.reference, _WITH_CHARGE)).to_dict()
        if self._clock() - wanted.started_at > _KEY_TRUSTED_SECONDS * 1_000_000:
            made_before = await self._find_intent(wanted)
            if made_before is not None:
                return made_before
        asked: dict[str, Any] = {
            "amount": stripe_amount(wanted.amount, wanted.currency),
            "currency": wanted.currency.lower(),
            "capture_method": "automatic" if wanted.capture else "manual",
            "payment_method_types": ["card"],
            "metadata": self._metadata(wanted),
        }
        if wanted.token:
            asked["payment_method"] = wanted.token
        made = await intents.create_async(asked, {"idempotency_key": wanted.payment})  # type: ignore[arg-type]
        # An answer that Stripe kept may be out of date.
        return (await intents.retrieve_async(made.id, _WITH_CHARGE)).to_dict()

    async def _find_intent(self, wanted: PaymentInstruction) -> Any:
        """The payment intent that was made for a payment; None where there is none. It is listed and not searched for:
        Stripe's search is behind what was made, and is not there for every account. Raises `ProviderUnreachable` where
        the list is refused, because what is not known may have been paid."""
        since = wanted.started_at // 1_000_000 - _CLOCKS_APART_SECONDS
        try:
            listed = await self._client.v1.payment_intents.list_async(
                {"created": {"gte": since}, "limit": 100, "expand": ["data.latest_charge"]}
            )
            async for one in listed.auto_paging_iter():
                intent = one.to_dict()
                if self._metadata(wanted).items() <= (intent.get("metadata") or {}).items():
                    return intent
        except InvalidRequestError as error:
            _unreachable(error)
        return None

    def _metadata(self, wanted: PaymentInstruction) -> dict[str, str]:
        return {
            "innkeeper_installation": self._installation,
            "innkeeper_hotel": wanted.hotel,
            "innkeeper_payment": wanted.payment,
        }

    def _state(self, wanted: PaymentInstruction, intent: Any) -> PaymentUpdate | None:
        return self._intent_update(wanted.hotel, wanted.payment, intent, _charged_at(intent))

    def _intent_update(self, hotel: str, payment: str, intent: Any, at: int | None) -> PaymentUpdate | None:
        outcome = outcome_of(intent)
        if outcome is None:
            return None
        error = intent.get("last_payment_error") or {}
        received = intent.get("amount_received") or intent["amount"]
        return PaymentUpdate(
            hotel=hotel,
            payment=payment,
            outcome=outcome,
            amount=money_of(received, intent["currency"]) if outcome == "captured" else None,
            reference=intent["id"],
            code=RefusalCode.DECLINED if outcome == "failed" else None,
            reason=str(error.get("message") or "")[:_TEXT_MAX],
            at=None if at is None else instant(at * 1_000_000),
            expires_at=instant(self._expires_at(intent, at) * 1_000_000) if outcome == "authorised" else None,
            next_action=_next_action(intent) if outcome == "requires_action" else None,
        )

    def _expires_at(self, intent: Any, at: int | None) -> int:
        """When an authorisation ends: the charge says so, where it came with the intent."""
        card = (_charge(intent).get("payment_method_details") or {}).get("card") or {}
        since = self._clock() // 1_000_000 if at is None else at
        return int(card.get("capture_before") or since + _AUTHORISED_SECONDS)

    def _refund_update(self, hotel: str, payment: str, refund: Any) -> PaymentUpdate | None:
        """The news of a refund: none before the bank has carried it out. It may fail after it had succeeded."""
        number = refund["metadata"].get("innkeeper_operation")
        operation = int(number) if number else None
        if refund["status"] in ("failed", "canceled"):
            reason = refund.get("failure_reason") or f"the refund is {refund['status']}"
            return PaymentUpdate(
                hotel=hotel, payment=payment, outcome="refund_failed", id=refund["id"], operation=operation,
                code=RefusalCode.DECLINED, reason=reason, amount=money_of(refund["amount"], refund["currency"]),
            )  # fmt: skip
        if refund["status"] != "succeeded":
            return None
        return PaymentUpdate(
            hotel=hotel, payment=payment, outcome="refunded", id=refund["id"], operation=operation,
            amount=money_of(refund["amount"], refund["currency"]),
        )  # fmt: skip

    def _refused(
        self, wanted: PaymentInstruction, operation: OperationInstruction, code: RefusalCode, reason: str
    ) -> PaymentUpdate:
        return PaymentUpdate(
            hotel=wanted.hotel, payment=wanted.payment, outcome="refused", operation=operation.number, code=code,
            reason=reason,
        )  # fmt: skip

    def _update(
        self,
        wanted: PaymentInstruction,
        outcome: PaymentOutcome,
        operation: OperationInstruction | None = None,
        amount: Money | None = None,
        intent: Any = None,
        code: RefusalCode | None = None,
        reason: str = "",
    ) -> PaymentUpdate:
        charged_at = None if intent is None else _charged_at(intent)
        return PaymentUpdate(
            hotel=wanted.hotel, payment=wanted.payment, outcome=outcome, code=code, reason=reason,
            operation=None if operation is None else operation.number,
            amount=amount, reference="" if intent is None else intent["id"],
            at=None if charged_at is None else instant(charged_at * 1_000_000),
        )  # fmt: skip

    async def read(self, headers: Mapping[str, str], body: bytes) -> Sequence[PaymentUpdate]:
        """See `protocol.billing.payments.Provider`. What concerns no payment of this installation reports nothing."""
        event = self._verified(headers, body)
        kind, item = event["type"], event["data"]["object"]
        try:
            if kind.startswith("payment_intent."):
                return self._of(
                    item["metadata"],
                    lambda hotel, payment: self._intent_update(hotel, payment, item, event["created"]),
                )
            if kind.startswith("refund.") or kind == "charge.refund.updated":
                metadata = await self._metadata_of(item)
                return self._of(metadata, lambda hotel, payment: self._refund_update(hotel, payment, item))
            if kind.startswith("charge.dispute."):
                return self._of(
                    await self._metadata_of(item),
                    lambda hotel, payment: _dispute_update(hotel, payment, kind, item),
                )
        except StripeError as error:
            _unreachable(error)
        return ()

    def _verified(self, headers: Mapping[str, str], body: bytes) -> Any:
        header = headers.get("stripe-signature", "")
        stamps = [part for part in header.split(",") if part.startswith("t=")]
        if len(stamps) != 1:  # which of them was signed would be the library's choice
            raise Refused(BadSignature("expected one timestamp"))
        try:
            WebhookSignature.verify_header(body.decode("utf-8"), header, self._secret)
            stamp = int(stamps[0].removeprefix("t="))
            event = json.loads(body)
        except SignatureVerificationError:
            raise Refused(BadSignature("it was not made with the known secret")) from None
        except (ValueError, RecursionError):
            raise invalid("body", "form", "expected an event of Stripe") from None
        if abs(stamp - self._clock() // 1_000_000) > _AGE_SECONDS_MAX:
            raise Refused(BadSignature("the timestamp is more than five minutes from now"))
        return event

    async def _metadata_of(self, item: Any) -> Any:
        """The metadata of the payment intent of a refund or a dispute."""
        metadata = item.get("metadata") or {}
        if "innkeeper_payment" in metadata or not item.get("payment_intent"):
            return metadata
        intent = await self._client.v1.payment_intents.retrieve_async(item["payment_intent"])
        return intent.to_dict()["metadata"]

    def _of(self, metadata: Any, update: Callable[[str, str], PaymentUpdate | None]) -> tuple[PaymentUpdate, ...]:
        if metadata.get("innkeeper_installation") != self._installation:
            return ()
        found = update(metadata["innkeeper_hotel"], metadata["innkeeper_payment"])
        return () if found is None else (found,)


def _dispute_update(hotel: str, payment: str, kind: str, dispute: Any) -> PaymentUpdate | None:
    """What a dispute tells; an inquiry ("warning") takes no money."""
    outcome: PaymentOutcome | None = None
    if kind.endswith(".closed"):
        outcome = {"won": "chargeback_won", "lost": "chargeback_lost"}.get(dispute["status"])  # type: ignore[assignment]
    elif kind.endswith(".funds_reinstated"):
        outcome = "chargeback_won"
    elif kind.endswith(".funds_withdrawn") or not dispute["status"].startswith("warning_"):
        outcome = "chargeback_opened"
    if outcome is None:
        return None
    return PaymentUpdate(
        hotel=hotel, payment=payment, outcome=outcome, id=dispute["id"], reason=dispute.get("reason") or "",
        amount=money_of(dispute["amount"], dispute["currency"]),
    )  # fmt: skip


def _charge(intent: Any) -> Any:
    """The latest charge of an intent; empty where there is none, or only its id came with the intent."""
    charge = intent.get("latest_charge")
    return charge if charge and not isinstance(charge, str) else {}


def _charged_at(intent: Any) -> int | None:
    """When the card was charged, in seconds since 1970 UTC by Stripe's clock; None where that is not known. Cards that
    were declined before were charged earlier, and each has a charge of its own."""
    created = _charge(intent).get("created")
    return None if created is None else int(created)


def _next_action(intent: Any) -> NextAction:
    redirect = (intent.get("next_action") or {}).get("redirect_to_url") or {}
    return NextAction(redirect.get("url") or "", intent.get("client_secret") or "")


_CODES = {
    "resource_missing": RefusalCode.UNKNOWN_PAYMENT,
    "charge_expired_for_capture": RefusalCode.EXPIRED,
    "insufficient_funds": RefusalCode.DECLINED,
    "balance_insufficient": RefusalCode.DECLINED,
}


def _text(error: StripeError) -> str:
    return (error.user_message or str(error))[:_TEXT_MAX]


def _unreachable(error: StripeError) -> NoReturn:
    raise ProviderUnreachable(f"{type(error).__name__}: {_text(error)}") from error


@asynccontextmanager
async def stripe_provider(
    key: str, secret: str, url: str, installation: str, clock: Callable[[], int]
) -> AsyncIterator[StripeProvider]:
    """The Stripe account of this secret key; `url` is of another server that speaks its API, or empty. Failed requests
    are repeated by the operations that make them."""
    async with aiohttp.ClientSession() as session:
        client = StripeClient(
            key,
            http_client=AIOHTTPClient(session=session),
            base_addresses={"api": url} if url else None,
            max_network_retries=0,
        )
        yield StripeProvider(client, secret, installation, clock)
