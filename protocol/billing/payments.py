"""The port of payment providers, and the messages about their notifications.

Amounts are minor units of `currency`. The payment's id serves as an idempotency key: a provider carries out each
request once, however often it is sent.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Protocol

import msgspec
from innkeeper.protocol.billing.folio import PaymentOutcome
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.values.contexts import DELIVERY
from innkeeper.protocol.values.text import UNPADDED, Line, Slug
from msgspec import Meta


class PaymentInstruction(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that a provider is to capture (`capture`) or only to authorise. `token` is the provider's token for
    this payment, from the guest."""

    payment: str
    hotel: str
    booking: str
    amount: int
    currency: str
    capture: bool
    token: str


class PaymentUpdate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of a payment. `reference` is the provider's id of it; `reason` is the reason of a failure."""

    hotel: Slug
    payment: Annotated[str, Meta(min_length=1, max_length=64, pattern=UNPADDED)]
    outcome: PaymentOutcome
    reference: Line = ""
    reason: Line = ""


class Provider(Protocol):
    """A payment provider. Each method raises `ProviderUnreachable` (`protocol.ports.payment_operations`)."""

    secrets: tuple[str, ...]
    """The secrets that sign its notifications (`whsec_…`), newest first."""

    async def start(self, wanted: PaymentInstruction) -> PaymentUpdate | None:
        """Starts the payment; returns its outcome, or None where a notification will follow."""

    async def capture(self, payment: str, amount: int) -> None:
        """Captures this amount of an authorised payment; changes nothing once it is captured."""

    async def void(self, payment: str) -> None:
        """Releases an authorised payment."""

    async def refund(self, payment: str, refund: str, amount: int) -> None:
        """Refunds this amount; `refund` is the id of the refund, as a payment can have several."""


class ReceiveProviderNotification(ServiceMessage, frozen=True):
    """Deliver a notification of a provider, signed with Standard Webhooks headers (their names in lower case)."""

    name: ClassVar[str] = "payment.notify"
    service: ClassVar[str] = DELIVERY

    provider: str
    headers: Mapping[str, str]
    body: bytes


class PaymentUpdateReply(Reply, frozen=True):
    """The notification was handled; the same one again changes nothing."""

    name: ClassVar[str] = "payment_update.reply"
    update: PaymentUpdate
