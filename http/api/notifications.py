"""The handlers of the routes of notifications."""

from datetime import datetime
from enum import StrEnum

import msgspec
from aiohttp import web
from innkeeper.http.api.parsing import body_of
from innkeeper.http.api.rendering import json_response
from innkeeper.http.api.reservations import find_booking
from innkeeper.http.api.subscribers import ask, caught_up, change
from innkeeper.protocol.notifications.terms import (
    ChangeNotificationTerms,
    NotificationTerms,
    NotificationTermsReply,
    ShowNotificationTerms,
)
from innkeeper.protocol.notifications.unsent import ShowUnsentLetters, UnsentLetter, UnsentLettersReply
from innkeeper.protocol.values.contexts import NOTIFICATIONS
from innkeeper.protocol.values.instants import instant


class NotificationTermsResource(msgspec.Struct, frozen=True):
    """The terms on which a hotel sends letters to its guests."""

    language: str
    reminder_days: int
    reminder_at: str
    change_delay_seconds: int
    email: str | None
    address: tuple[str, ...]
    phone: str
    website: str | None
    payment_link: str | None


class LetterStatus(StrEnum):
    """A letter that is not sent waits, or could not be sent: it is a dead letter of the subscriber `mail`."""

    WAITING = "waiting"
    NOT_SENT = "not_sent"


class UnsentLetterResource(msgspec.Struct, frozen=True):
    """A letter that is not sent. `due_at` is when it is sent, or tried again; `since` when the first attempt failed,
    and `reason` why the latest one did. To send one that was `not_sent` again, redrive its dead letter, whose event is
    `id`."""

    id: str
    kind: str
    status: LetterStatus
    due_at: datetime | None
    attempts: int
    since: datetime | None
    reason: str


class RefusedAddressResource(msgspec.Struct, frozen=True):
    """Since when the guest's address refuses letters, which letter it refused, and the codes of the reply."""

    at: datetime
    letter: str
    reply: str


class UnsentLettersResource(msgspec.Struct, frozen=True):
    """The letters of a booking that are not sent. While `address_refused`, later ones are not tried."""

    address_refused: RefusedAddressResource | None
    data: list[UnsentLetterResource]


_terms = msgspec.json.Decoder(NotificationTerms)


async def show_notification_terms(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/notifications"""
    return await _respond(request, ShowNotificationTerms(request.match_info["hotel"]))


async def change_notification_terms(request: web.Request) -> web.Response:
    """PUT /v1/hotels/{hotel}/notifications"""
    terms = await body_of(request, _terms)
    return await _respond(request, ChangeNotificationTerms(request.match_info["hotel"], terms))


async def list_unsent_letters(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/bookings/{booking}/letters"""
    hotel, booking = request.match_info["hotel"], await find_booking(request)
    await caught_up(request, NOTIFICATIONS, hotel)
    reply = await ask(request, ShowUnsentLetters(hotel, booking.id), UnsentLettersReply)
    refused = reply.refused
    resource = None if refused is None else RefusedAddressResource(instant(refused.at), refused.letter, refused.reply)
    return json_response(UnsentLettersResource(resource, [_letter(one) for one in reply.letters]))


def _letter(one: UnsentLetter) -> UnsentLetterResource:
    status = LetterStatus.NOT_SENT if one.due_at is None else LetterStatus.WAITING
    due_at, since = (instant(at) if at else None for at in (one.due_at, one.since))
    return UnsentLetterResource(one.id, one.kind, status, due_at, one.attempts, since, one.reason)


async def _respond(request: web.Request, message: ShowNotificationTerms | ChangeNotificationTerms) -> web.Response:
    await caught_up(request, NOTIFICATIONS, message.hotel)
    reply, headers = await change(request, message, NotificationTermsReply)
    return json_response(NotificationTermsResource(**msgspec.structs.asdict(reply.terms)), headers=headers)
