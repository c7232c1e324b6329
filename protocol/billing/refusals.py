"""The refusals of billing, beside those that all contexts share."""

from typing import ClassVar

from innkeeper.protocol.messages.refusals import Refusal


class GuestOwes(Refusal, frozen=True):
    """The guest cannot be forgotten: these bookings are not balanced."""

    code: ClassVar[str] = "guest_owes"
    guest: str
    bookings: tuple[str, ...]
