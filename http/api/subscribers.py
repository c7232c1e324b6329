"""The handlers of the routes of subscribers and dead letters."""

from typing import TypeVar

import msgspec
from aiohttp import web
from innkeeper.http.api import rendering
from innkeeper.http.api.parsing import body_of, idempotency_key
from innkeeper.http.api.rendering import json_response
from innkeeper.http.api.reservations import RESERVATIONS_BUS, reply_of
from innkeeper.http.keys import BY
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.message_bus import Services
from innkeeper.protocol.ports.subscriptions import (
    AwaitSubscriber,
    DeadLettersReply,
    ListDeadLetters,
    ListSubscribers,
    PauseSubscriber,
    RedriveDeadLetter,
    SubscribersReply,
)

SERVICES: web.AppKey[Services] = web.AppKey("services")

R = TypeVar("R", bound=Reply)


class EmptyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An empty object, the body of an action without fields."""


no_fields = msgspec.json.Decoder(EmptyBody)


async def ask(request: web.Request, message: ServiceMessage, kind: type[R]) -> R:
    """Sends a message to the service that handles it. Raises `Refused`."""
    reply = await request.app[SERVICES].ask(message)
    assert isinstance(reply, kind)
    return reply


async def caught_up(request: web.Request, subscriber: str, hotel: str) -> None:
    """Returns once the subscriber has handled all events of the hotel that were acknowledged before this request.
    Raises `Refused` where that does not happen in time."""
    ends = await request.app[RESERVATIONS_BUS].positions(hotel)
    await ask(request, AwaitSubscriber(subscriber, hotel, ends), SubscribersReply)


async def change(request: web.Request, message: ServiceMessage, kind: type[R]) -> tuple[R, dict[str, str]]:
    """Sends a message that changes something, which takes effect once under the request's idempotency key. Returns the
    reply and headers for the response. Raises `Refused`."""
    key = idempotency_key(request, request[BY])
    if key is None:
        return await ask(request, message, kind), {}
    return reply_of(await request.app[SERVICES].ask_once(message, key), kind)


async def list_subscribers(request: web.Request) -> web.Response:
    """GET /v1/subscribers"""
    reply = await ask(request, ListSubscribers(), SubscribersReply)
    return json_response(rendering.page(map(rendering.subscriber, reply.subscribers), None))


async def pause_subscriber(request: web.Request) -> web.Response:
    """POST /v1/subscribers/{subscriber}/actions/pause"""
    return await _pause(request, paused=True)


async def resume_subscriber(request: web.Request) -> web.Response:
    """POST /v1/subscribers/{subscriber}/actions/resume"""
    return await _pause(request, paused=False)


async def _pause(request: web.Request, paused: bool) -> web.Response:
    await body_of(request, no_fields)
    message = PauseSubscriber(request.match_info["subscriber"], paused)
    reply, headers = await change(request, message, SubscribersReply)
    return json_response(rendering.subscriber(reply.subscribers[0]), headers=headers)


async def list_dead_letters(request: web.Request) -> web.Response:
    """GET /v1/dead-letters"""
    reply = await ask(request, ListDeadLetters(), DeadLettersReply)
    return json_response(rendering.page(map(rendering.dead_letter, reply.dead_letters), None))


async def redrive_dead_letter(request: web.Request) -> web.Response:
    """POST /v1/dead-letters/{subscriber}/{event}/actions/redrive"""
    return await _redrive(request, drop=False)


async def drop_dead_letter(request: web.Request) -> web.Response:
    """POST /v1/dead-letters/{subscriber}/{event}/actions/drop"""
    return await _redrive(request, drop=True)


async def _redrive(request: web.Request, drop: bool) -> web.Response:
    await body_of(request, no_fields)
    message = RedriveDeadLetter(request.match_info["subscriber"], request.match_info["event"], drop)
    reply, headers = await change(request, message, DeadLettersReply)
    return json_response(rendering.dead_letter(reply.dead_letters[0]), headers=headers)
