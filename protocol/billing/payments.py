"""What billing and a payment provider say to each other: the small port behind which every provider stands.

Amounts are minor units of `currency`. Everything is named by the payment's id, under which a provider does it once,
however often it is asked.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Protocol

import msgspec
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.values.contexts import DELIVERY
from innkeeper.protocol.values.text import Line, Slug
from msgspec import Meta


class PaymentWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Money that a provider shall get: take it (`capture`), or only reserve it. `token` is what the provider gave the
    guest for this payment."""

    payment: str
    hotel: str
    booking: str
    amount: int
    currency: str
    capture: bool
    token: str


class PaymentNews(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of a payment. `reference` is the provider's own name for it; `reason` says why it failed."""

    hotel: Slug
    payment: Annotated[str, Meta(min_length=1, max_length=64)]
    outcome: Literal["authorised", "captured", "failed", "voided"]
    reference: Line = ""
    reason: Line = ""


class ProviderAway(Exception):
    """The provider does not answer; to be asked again later."""


class Provider(Protocol):
    """Whoever gets money from guests. Raises `ProviderAway`."""

    secrets: tuple[str, ...]
    """What its notifications are signed with (`whsec_…`), the newest first."""

    async def ask(self, wanted: PaymentWanted) -> PaymentNews | None:
        """Get this money; what became of it, or None where its notification will tell."""

    async def capture(self, payment: str, amount: int) -> None:
        """Take so much of what was reserved; once taken, this changes nothing."""

    async def void(self, payment: str) -> None:
        """Let go of what was reserved."""

    async def refund(self, payment: str, refund: str, amount: int) -> None:
        """Give so much back; `refund` names this one of several."""


class TellOfPayment(ServiceMessage, frozen=True):
    """A notification as it came from a provider, signed with Standard Webhooks headers (their names in lower case)."""

    service: ClassVar[str] = DELIVERY

    provider: str
    headers: Mapping[str, str]
    body: bytes


class NewsTaken(Reply, frozen=True):
    """The notification is taken in; hearing of it again changes nothing."""

    news: PaymentNews
