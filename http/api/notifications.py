"""The handlers of the routes of notifications."""

import msgspec
from aiohttp import web
from innkeeper.http.api.parsing import body_of
from innkeeper.http.api.rendering import json_response
from innkeeper.http.api.reservations import RESERVATIONS_BUS
from innkeeper.http.api.subscribers import ask, change
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.notifications.terms import (
    ChangeNotificationTerms,
    NotificationTerms,
    NotificationTermsReply,
    ShowNotificationTerms,
)
from innkeeper.protocol.ports.subscriptions import AwaitSubscriber, SubscribersReply
from innkeeper.protocol.values.contexts import NOTIFICATIONS


class NotificationTermsResource(msgspec.Struct, frozen=True):
    """The terms on which a hotel sends letters to its guests."""

    language: str
    reminder_days: int
    reminder_at: str


_terms = msgspec.json.Decoder(NotificationTerms)


async def show_notification_terms(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/notifications"""
    return await _respond(request, ShowNotificationTerms(request.match_info["hotel"]))


async def change_notification_terms(request: web.Request) -> web.Response:
    """PUT /v1/hotels/{hotel}/notifications"""
    terms = await body_of(request, _terms)
    return await _respond(request, ChangeNotificationTerms(request.match_info["hotel"], terms))


async def _respond(request: web.Request, message: ShowNotificationTerms | ChangeNotificationTerms) -> web.Response:
    """Sends a message to notifications, after it has handled all events acknowledged before this request."""
    ends = await request.app[RESERVATIONS_BUS].positions(message.hotel)
    (state,) = (await ask(request, AwaitSubscriber(NOTIFICATIONS, ends), SubscribersReply)).subscribers
    if any(state.positions[log] < end for log, end in ends.items()):
        raise Refused(Unavailable("notifications has not handled all events yet"))
    reply, headers = await change(request, message, NotificationTermsReply)
    terms = reply.terms
    resource = NotificationTermsResource(terms.language, terms.reminder_days, terms.reminder_at)
    return json_response(resource, headers=headers)
