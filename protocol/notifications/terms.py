"""The terms on which a hotel writes to its guests (language, reminders), and the messages about them."""

from typing import Annotated, ClassVar

import msgspec
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import NOTIFICATIONS
from innkeeper.protocol.values.text import ClockTime, Language
from msgspec import Meta


class NotificationTerms(
    msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Letters are written in `language` (BCP 47), or in English where there are no templates in it. Guests are reminded
    `reminder_days` before arrival, unless a booking names another day, at the hotel's local time `reminder_at`."""

    language: Language = "en"
    reminder_days: Annotated[int, Meta(ge=0, le=limits.reminder_days_max)] = 3
    reminder_at: ClockTime = "10:00"


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
