"""The handlers of the routes of payments: by hand, by a provider, and what a provider reports."""

from collections.abc import Collection
from typing import cast

import msgspec
from aiohttp import web
from innkeeper.http.api import billing_resources as resources
from innkeeper.http.api.billing import FolioNumber, RequestBody, ask_billing
from innkeeper.http.api.parsing import body_of, read_body
from innkeeper.http.api.rendering import json_response
from innkeeper.http.api.subscribers import SERVICES
from innkeeper.protocol.billing import commands, queries
from innkeeper.protocol.billing.payments import PaymentUpdateReply, ReceiveProviderNotification
from innkeeper.protocol.billing.replies import PaymentReply
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.text import Line, Slug

PROVIDERS: web.AppKey[Collection[str]] = web.AppKey("providers")

_SIGNED = ("webhook-", "stripe-signature")  # the names of the headers that sign a notification


class PaymentRequest(RequestBody, frozen=True):
    """A manual payment (cash, terminal, transfer) or one by a provider, which only reserves the money where `capture`
    is false. `token` is the provider's token for this payment; only a manual one takes a `reference`. A payment above
    what is owed for the booking (its price, charges and fees less payments) has to be asked for: `allow_overpayment`.
    """

    method: Slug
    amount: Money
    folio: FolioNumber = 1
    capture: bool = True
    token: Line = ""
    reference: Line = ""
    allow_overpayment: bool = False


class CaptureRequest(RequestBody, frozen=True):
    """The amount to capture, by default all that is reserved."""

    amount: Money | None = None


class VoidRequest(RequestBody, frozen=True):
    """The reason for voiding a payment."""

    reason: Line = ""


class PaymentMoveRequest(RequestBody, frozen=True):
    """The folio of this or another booking to move a payment to."""

    to_folio: FolioNumber = 1
    to_booking: Line | None = None


class RefundRequest(RequestBody, frozen=True):
    """The amount that is refunded or was returned, by default all of it, and the reason. A refund by a provider takes
    no `reference`: the provider gives its own."""

    amount: Money | None = None
    reason: Line = ""
    reference: Line = ""


def _path(request: web.Request, name: str) -> str:
    return request.match_info[name]


_payment = msgspec.json.Decoder(PaymentRequest)
_captured = msgspec.json.Decoder(CaptureRequest)
_voided = msgspec.json.Decoder(VoidRequest)
_refund = msgspec.json.Decoder(RefundRequest)
_target = msgspec.json.Decoder(PaymentMoveRequest)


async def pay(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folio/payments"""
    body = await body_of(request, _payment)
    hotel, booking = _path(request, "hotel"), _path(request, "booking")
    command: Command
    if body.method in commands.MANUAL_METHODS:
        if not body.capture or body.token:
            raise invalid("method", "provider", f"a payment by {body.method} cannot be reserved and takes no token")
        command = commands.RecordPayment(
            hotel,
            booking,
            method=cast(commands.ManualMethod, body.method),
            amount=body.amount,
            folio=body.folio,
            reference=body.reference,
            allow_overpayment=body.allow_overpayment,
        )
    else:
        providers = request.app[PROVIDERS]
        if body.method not in providers:
            known = ", ".join((*commands.MANUAL_METHODS, *sorted(providers)))
            raise invalid("method", "known", f"expected one of {known}")
        if body.reference:
            own = f"a payment by {body.method} takes no reference: the provider gives its own"
            raise invalid("reference", "manual", own)
        command = commands.StartPayment(
            hotel, booking, provider=body.method, amount=body.amount, folio=body.folio, capture=body.capture,
            token=body.token, allow_overpayment=body.allow_overpayment,
        )  # fmt: skip
    return await _payment_response(request, command, 201)


async def receive_payment_notification(request: web.Request) -> web.Response:
    """POST /v1/payment-providers/{provider}/notifications"""
    headers = {name.lower(): value for name, value in request.headers.items() if name.lower().startswith(_SIGNED)}
    message = ReceiveProviderNotification(request.match_info["provider"], headers, await read_body(request))
    reply = await request.app[SERVICES].ask(message)
    assert isinstance(reply, PaymentUpdateReply)
    return json_response(resources.PaymentNotificationResource(reply.updates))


async def show_payment(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/payments/{payment}"""
    return await _payment_response(request, queries.ShowPayment(_path(request, "hotel"), _path(request, "payment")))


async def capture_payment(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/payments/{payment}/actions/capture"""
    body = await body_of(request, _captured)
    command = commands.CapturePayment(_path(request, "hotel"), _path(request, "payment"), body.amount)
    return await _payment_response(request, command)


async def void_payment(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/payments/{payment}/actions/void"""
    body = await body_of(request, _voided)
    command = commands.VoidPayment(_path(request, "hotel"), _path(request, "payment"), body.reason)
    return await _payment_response(request, command)


async def refund_payment(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/payments/{payment}/actions/refund"""
    body = await body_of(request, _refund)
    command = commands.RefundPayment(
        _path(request, "hotel"), _path(request, "payment"), body.amount, body.reason, body.reference
    )
    return await _payment_response(request, command)


async def return_payment(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/payments/{payment}/actions/return"""
    body = await body_of(request, _refund)
    command = commands.ReturnPayment(
        _path(request, "hotel"), _path(request, "payment"), body.amount, body.reason, body.reference
    )
    return await _payment_response(request, command)


async def move_payment(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/payments/{payment}/actions/move"""
    body = await body_of(request, _target)
    command = commands.MovePayment(_path(request, "hotel"), _path(request, "payment"), body.to_folio, body.to_booking)
    return await _payment_response(request, command)


async def _payment_response(request: web.Request, message: Command | Query, status: int = 200) -> web.Response:
    reply, headers = await ask_billing(request, message, PaymentReply)
    headers["ETag"] = f'"{reply.payment.version}"'
    if status == 201:
        headers["Location"] = f"/v1/hotels/{_path(request, 'hotel')}/payments/{reply.payment.id}"
    return json_response(resources.payment(reply.payment, reply.currency, reply.booking_status), status, headers)
