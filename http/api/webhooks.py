"""The handlers of the routes of webhooks."""

from datetime import datetime
from typing import Annotated

import msgspec
from aiohttp import web
from innkeeper.http.api.parsing import body_of, number_of, query_of
from innkeeper.http.api.rendering import json_response, page
from innkeeper.http.api.reservations import BUSES, log_of
from innkeeper.http.api.subscribers import ask, change, no_fields
from innkeeper.http.keys import BY
from innkeeper.http.problems import REQUEST_ID
from innkeeper.protocol.delivery.webhooks import (
    AddressedWebhookMessage,
    AddWebhook,
    ChangeWebhook,
    ContentType,
    DeliveriesReply,
    DeliveryAttempt,
    EnableWebhook,
    ListDeliveries,
    ListWebhooks,
    PingWebhook,
    RemoveWebhook,
    ReplayFrom,
    ResendEvent,
    RotateSecret,
    Secret,
    ShowWebhook,
    Webhook,
    WebhookChange,
    WebhookReply,
    WebhookRequest,
    WebhooksReply,
)
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import Refusal, Refused
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.text import UNPADDED, Line
from msgspec import Meta


class WebhookResource(msgspec.Struct, frozen=True):
    """An endpoint that gets events. `secret` is shown only once, when it is new. `failing_since` is when an attempt
    failed after which the endpoint accepted nothing, else null; `attempts` is the number of attempts that failed since
    then. An event that it refuses although it accepts others is listed among the dead letters instead."""

    id: str
    url: str
    events: tuple[str, ...]
    hotel: str | None
    guest_details: bool
    content_type: ContentType
    secret: str | None
    created_at: datetime
    created_by: str
    attempts: int
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: str | None


class DeliveryResource(msgspec.Struct, frozen=True):
    """One attempt. `status` is that of the endpoint's answer, null where there was none; `error` is the reason why the
    event is not delivered. An event that was `given_up` is a dead letter, which is not retried automatically."""

    number: int
    event: str
    type: str
    at: datetime
    attempt: int
    delivered: bool
    status: int | None
    error: str | None
    milliseconds: int
    excerpt: str
    given_up: bool


class DeliveriesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Filters the attempts: `failed` omits the successful ones."""

    limit: Annotated[int, Meta(ge=1, le=limits.list_entries_max)] = limits.list_entries_default
    cursor: Annotated[str, Meta(max_length=200, pattern=UNPADDED)] | None = None
    failed: bool = False


class SecretRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The new secret; one is generated where it is omitted."""

    secret: Secret | None = None


class ResendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The id of an event."""

    event: Line


class ReplayRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log, and the position in it after which events are sent again."""

    after: Annotated[int, Meta(ge=0, le=2**53)]
    log: Line = RESERVATIONS


_webhook_request = msgspec.json.Decoder(WebhookRequest)
_change = msgspec.json.Decoder(WebhookChange)
_new_secret = msgspec.json.Decoder(SecretRequest)
_event_name = msgspec.json.Decoder(ResendRequest)
_replay_start = msgspec.json.Decoder(ReplayRequest)


async def add_webhook(request: web.Request) -> web.Response:
    """POST /v1/webhooks"""
    body = await body_of(request, _webhook_request)
    if body.hotel is not None:
        await _check_hotel(request, body.hotel)
    reply, headers = await change(request, AddWebhook(body, request[BY]), WebhookReply)
    return json_response(_rendered(reply), 201, {**headers, "Location": f"/v1/webhooks/{reply.webhook.id}"})


async def list_webhooks(request: web.Request) -> web.Response:
    """GET /v1/webhooks"""
    reply = await ask(request, ListWebhooks(), WebhooksReply)
    return json_response(page((_webhook(one, None) for one in reply.webhooks), None))


async def show_webhook(request: web.Request) -> web.Response:
    """GET /v1/webhooks/{webhook}"""
    return await _webhook_response(request, ShowWebhook(_id(request)))


async def change_webhook(request: web.Request) -> web.Response:
    """PATCH /v1/webhooks/{webhook}"""
    wanted = await body_of(request, _change)
    if isinstance(wanted.hotel, str):
        await _check_hotel(request, wanted.hotel)
    return await _webhook_response(request, ChangeWebhook(_id(request), wanted))


async def remove_webhook(request: web.Request) -> web.Response:
    """DELETE /v1/webhooks/{webhook}"""
    return await _webhook_response(request, RemoveWebhook(_id(request)))


async def enable_webhook(request: web.Request) -> web.Response:
    """POST /v1/webhooks/{webhook}/actions/enable"""
    await body_of(request, no_fields)
    return await _webhook_response(request, EnableWebhook(_id(request), enabled=True))


async def disable_webhook(request: web.Request) -> web.Response:
    """POST /v1/webhooks/{webhook}/actions/disable"""
    await body_of(request, no_fields)
    return await _webhook_response(request, EnableWebhook(_id(request), enabled=False))


async def rotate_secret(request: web.Request) -> web.Response:
    """POST /v1/webhooks/{webhook}/actions/rotate-secret"""
    return await _webhook_response(request, RotateSecret(_id(request), (await body_of(request, _new_secret)).secret))


async def replay_events(request: web.Request) -> web.Response:
    """POST /v1/webhooks/{webhook}/actions/replay"""
    start = await body_of(request, _replay_start)
    log_of(request, start.log)
    return await _webhook_response(request, ReplayFrom(_id(request), start.after, start.log))


async def ping_webhook(request: web.Request) -> web.Response:
    """POST /v1/webhooks/{webhook}/actions/ping"""
    await body_of(request, no_fields)
    return await _delivery_response(request, PingWebhook(_id(request)))


async def resend_event(request: web.Request) -> web.Response:
    """POST /v1/webhooks/{webhook}/actions/resend"""
    return await _delivery_response(request, ResendEvent(_id(request), (await body_of(request, _event_name)).event))


async def list_deliveries(request: web.Request) -> web.Response:
    """GET /v1/webhooks/{webhook}/deliveries"""
    query = query_of(request, DeliveriesQuery)
    before = None if query.cursor is None else number_of(query.cursor)
    message = ListDeliveries(_id(request), query.limit, before, query.failed)
    reply = await ask(request, message, DeliveriesReply)
    cursor = str(reply.deliveries[-1].number) if reply.more else None
    return json_response(page(map(_delivery, reply.deliveries), cursor))


def _id(request: web.Request) -> str:
    return request.match_info["webhook"]


async def _check_hotel(request: web.Request, hotel: str) -> None:
    """Refuses an unknown hotel. The query has no idempotency key, so that a retry finds a hotel opened in between."""
    envelope = Envelope(DescribeHotel(hotel), None, request[REQUEST_ID], request[BY])
    result = (await request.app[BUSES][RESERVATIONS].ask(envelope)).response
    if isinstance(result, Refusal):
        raise Refused(result)


async def _webhook_response(request: web.Request, message: AddressedWebhookMessage) -> web.Response:
    reply, headers = await change(request, message, WebhookReply)
    return json_response(_rendered(reply), headers=headers)


async def _delivery_response(request: web.Request, message: AddressedWebhookMessage) -> web.Response:
    reply, headers = await change(request, message, DeliveriesReply)
    return json_response(_delivery(reply.deliveries[0]), headers=headers)


def _rendered(reply: WebhookReply) -> WebhookResource:
    return _webhook(reply.webhook, reply.secret)


def _webhook(webhook: Webhook, secret: str | None) -> WebhookResource:
    return WebhookResource(
        webhook.id, webhook.url, webhook.events, webhook.hotel, webhook.guest_details,
        webhook.content_type, secret,
        instant(webhook.created_at), webhook.created_by, webhook.attempts, _instant(webhook.failing_since),
        _instant(webhook.disabled_at), webhook.disabled_reason or None,
    )  # fmt: skip


def _delivery(delivery: DeliveryAttempt) -> DeliveryResource:
    return DeliveryResource(
        delivery.number, delivery.event, delivery.type, instant(delivery.at), delivery.attempt, not delivery.error,
        delivery.status, delivery.error or None, delivery.milliseconds, delivery.excerpt, delivery.given_up,
    )  # fmt: skip


def _instant(at: int | None) -> datetime | None:
    return None if at is None else instant(at)
