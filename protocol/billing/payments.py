"""The port of payment providers, and the messages about their notifications.

Amounts are minor units of `currency`. Each request has a key: a provider carries it out once, however often it is sent,
and gives the same answer. That it refuses is an answer, too; only what it has agreed to has happened.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, ClassVar, Protocol

import msgspec
from innkeeper.protocol.billing.payment import NextAction, PaymentOutcome, RefusalCode
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.values.contexts import DELIVERY
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.text import UNPADDED, Line, Slug
from msgspec import Meta


class PaymentInstruction(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that a provider is to capture (`capture`) or only to authorise. `token` is the provider's token for
    this payment, from the guest; `reference` is the provider's id of it, where it is known. `started_at` is when the
    hotel started it, in microseconds since 1970 UTC: nothing of it is older at the provider."""

    payment: str
    hotel: str
    booking: str
    amount: int
    currency: str
    capture: bool
    token: str
    started_at: int
    reference: str = ""


class OperationInstruction(msgspec.Struct, frozen=True, kw_only=True):
    """An operation on a payment: its number, its amount, and the key under which the provider does it once."""

    number: int
    key: str
    amount: int


class PaymentUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a provider reports of a payment; see `PaymentNews`. `reference` is the provider's id of the payment, `id`
    that of the refund, chargeback or return; `code` and `reason` are those of a failure or refusal."""

    hotel: Slug
    payment: Annotated[str, Meta(min_length=1, max_length=64, pattern=UNPADDED)]
    outcome: PaymentOutcome
    amount: Money | None = None
    reference: Line = ""
    id: Line = ""
    operation: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    code: RefusalCode | None = None
    reason: Line = ""
    at: Annotated[datetime, Meta(tz=True)] | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    next_action: NextAction | None = None


class Provider(Protocol):
    """A payment provider. Each operation returns the provider's answer, a refusal included, or None where it will be
    reported later; it raises `ProviderUnreachable` (`protocol.ports.payment_operations`) where there is no answer."""

    async def start(self, wanted: PaymentInstruction) -> PaymentUpdate | None:
        """Starts the payment; the payment's id is the key."""

    async def capture(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate | None:
        """Captures this amount of an authorised payment: `captured` or `refused`."""

    async def void(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate | None:
        """Releases a payment that is not captured, also one that is about to start: `voided` or `refused`."""

    async def refund(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate | None:
        """Refunds this amount: `refunded`, `refused` or `refund_failed`. What was refunded may be reported as failed
        later."""

    async def read(self, headers: Mapping[str, str], body: bytes) -> Sequence[PaymentUpdate]:
        """What a notification reports of payments of this installation. Refuses one without a valid signature. The
        names of `headers` are in lower case."""


class ReceiveProviderNotification(ServiceMessage, frozen=True):
    """Deliver a notification of a provider, with the headers that sign it (their names in lower case)."""

    name: ClassVar[str] = "payment.notify"
    service: ClassVar[str] = DELIVERY

    provider: str
    headers: Mapping[str, str]
    body: bytes


class PaymentUpdateReply(Reply, frozen=True):
    """The notification was handled; the same one again changes nothing."""

    name: ClassVar[str] = "payment_update.reply"
    updates: tuple[PaymentUpdate, ...]
