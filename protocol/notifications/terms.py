"""The terms on which a hotel writes to its guests (language, reminders), and the messages about them."""

from typing import Annotated, ClassVar

import msgspec
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import NOTIFICATIONS
from innkeeper.protocol.values.email_address import InvalidEmail, email_address
from innkeeper.protocol.values.text import AddressLines, ClockTime, Email, Language, Line, WebAddress
from msgspec import Meta


class NotificationTerms(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Letters are written in the guest's language, else in `language` (BCP 47), or in English where there are no
    templates in it. Guests are reminded `reminder_days` before arrival, unless a booking names another day, at the
    hotel's local time `reminder_at`. A letter about a change waits `change_delay_seconds` for further ones.

    Letters end with the hotel's `address`, `phone` and `website`. Replies go to `email`, where the hotel also gets a
    letter when a guest's address refuses letters. A deposit is paid to the bank account of the billing terms, or at
    `payment_link`. In both links `{locator}` stands for that of the booking."""

    language: Language = "en"
    reminder_days: Annotated[int, Meta(ge=0, le=limits.reminder_days_max)] = 3
    reminder_at: ClockTime = "10:00"
    change_delay_seconds: Annotated[int, Meta(ge=0, le=limits.change_delay_seconds_max)] = (
        limits.change_delay_seconds_default
    )
    email: Email | None = None
    address: AddressLines = ()
    phone: Line = ""
    website: WebAddress | None = None
    payment_link: WebAddress | None = None

    def __post_init__(self) -> None:
        """Refuses an address that no letter can be sent to."""
        try:
            email_address(self.email) if self.email is not None else None
        except InvalidEmail as error:
            raise invalid("email", "address", str(error)) from None


class NotificationMessage(ServiceMessage, frozen=True):
    """The base of all messages to notifications."""

    service: ClassVar[str] = NOTIFICATIONS
    hotel: str


class ShowNotificationTerms(NotificationMessage, frozen=True):
    """Return the terms on which this hotel writes to its guests."""

    name: ClassVar[str] = "notification_terms.show"
    changes: ClassVar[bool] = False


class ChangeNotificationTerms(NotificationMessage, frozen=True):
    """Set the terms for all notices that are decided from now on."""

    name: ClassVar[str] = "notification_terms.change"
    terms: NotificationTerms


class NotificationTermsReply(Reply, frozen=True):
    """The terms of a hotel."""

    name: ClassVar[str] = "notification_terms.reply"
    terms: NotificationTerms
