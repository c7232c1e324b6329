"""The refusals of billing, beside those that all contexts share."""

from typing import ClassVar

from innkeeper.protocol.messages.refusals import Refusal


class GuestOwes(Refusal, frozen=True):
    """The guest cannot be forgotten: these bookings are not balanced."""

    code: ClassVar[str] = "guest_owes"
    guest: str
    bookings: tuple[str, ...]


class SellerIncomplete(Refusal, frozen=True):
    """No document can be issued: the seller in the hotel's billing terms lacks what the law demands of an invoice."""

    code: ClassVar[str] = "seller_incomplete"
    lacking: tuple[str, ...]
