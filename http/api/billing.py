"""The handlers of the routes of bills and of the terms of billing."""

from datetime import date
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web
from innkeeper.http.api import billing_resources as resources
from innkeeper.http.api.parsing import PageQuery, body_of, query_of
from innkeeper.http.api.rendering import json_response, page
from innkeeper.http.api.reservations import ask
from innkeeper.http.api.subscribers import caught_up
from innkeeper.protocol.billing import commands, queries
from innkeeper.protocol.billing.replies import (
    BillReply,
    LedgerReply,
    OpenBalancesReply,
    TrialBalanceReply,
)
from innkeeper.protocol.billing.terms import BillingTermsRequest, PartyRequest
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import BILLING
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.taxes import ChargeKind
from innkeeper.protocol.values.text import Line, LineNumber, Name, Quantity
from msgspec import Meta

R = TypeVar("R", bound=Reply)


FolioNumber = Annotated[int, Meta(ge=1, le=limits.folios_per_booking_max)]


class RequestBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of the request bodies and queries of billing."""


class OpenBalancesQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    """Filters the open balances by who owes: the guest, or the hotel."""

    balance: queries.OpenBalanceSide | None = None


class ChargeRequest(RequestBody, frozen=True):
    """A charge of a quantity at a unit price, for what was supplied on a day: by default the business date. One on a
    booking that was cancelled or whose guest never came has to be asked for: `allow_ended`."""

    charge: ChargeKind
    text: Name
    amount: Money
    quantity: Quantity = 1
    folio: FolioNumber = 1
    supplied_on: date | None = None
    allow_ended: bool = False


class DiscountRequest(RequestBody, frozen=True):
    """How much less is charged of a kind, and why, with the number of a voucher where there is one."""

    charge: ChargeKind
    amount: Money
    reason: Name
    voucher: Line = ""
    folio: FolioNumber = 1


class ReasonRequest(RequestBody, frozen=True):
    """The reason for a correction."""

    reason: Name


class SplitRequest(RequestBody, frozen=True):
    """The amount to split off, or the quantity."""

    amount: Money | None = None
    quantity: Quantity | None = None


class TransferRequest(RequestBody, frozen=True):
    """The lines to move, and the folio of this or another booking to move them to."""

    lines: Annotated[tuple[LineNumber, ...], Meta(min_length=1, max_length=limits.lines_per_folio_max)]
    to_folio: FolioNumber = 1
    to_booking: Line | None = None


class FolioRequest(RequestBody, frozen=True):
    """A new folio and its payer."""

    buyer: PartyRequest


async def ask_billing(request: web.Request, message: Command | Query, kind: type[R]) -> tuple[R, dict[str, str]]:
    """Sends a message to billing, after it has handled all events acknowledged before this request. Raises `Refused`,
    also where billing does not handle them in time."""
    await caught_up(request, BILLING, message.hotel)
    return await ask(request, message, kind, BILLING)


def _path(request: web.Request, name: str) -> str:
    return request.match_info[name]


def _line(request: web.Request) -> int:
    text = request.match_info["line"]
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) <= limits.line_number_max):
        raise invalid("line", "number", "expected the number of a line")
    return int(text)


_charge = msgspec.json.Decoder(ChargeRequest)
_discount = msgspec.json.Decoder(DiscountRequest)
_reason = msgspec.json.Decoder(ReasonRequest)
_part = msgspec.json.Decoder(SplitRequest)
_transfer = msgspec.json.Decoder(TransferRequest)
_new_folio = msgspec.json.Decoder(FolioRequest)
_billing_terms = msgspec.json.Decoder(BillingTermsRequest)


async def show_bill(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/bookings/{booking}/folio"""
    return await _bill(request, queries.ShowBill(_path(request, "hotel"), _path(request, "booking")))


async def open_folio(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folios"""
    body = await body_of(request, _new_folio)
    command = commands.OpenFolio(_path(request, "hotel"), _path(request, "booking"), body.buyer)
    return await _bill(request, command, 201)


async def post_charge(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folio/charges"""
    body = await body_of(request, _charge)
    command = commands.PostCharge(
        _path(request, "hotel"), _path(request, "booking"), charge=body.charge, text=body.text,
        unit_amount=body.amount, quantity=body.quantity, folio=body.folio, supplied_on=body.supplied_on,
        allow_ended=body.allow_ended,
    )  # fmt: skip
    return await _bill(request, command, 201)


async def post_discount(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folio/discounts"""
    body = await body_of(request, _discount)
    command = commands.PostDiscount(
        _path(request, "hotel"), _path(request, "booking"), charge=body.charge, amount=body.amount,
        reason=body.reason, voucher=body.voucher, folio=body.folio,
    )  # fmt: skip
    return await _bill(request, command, 201)


async def reverse_charge(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folio/charges/{line}/actions/reverse"""
    body = await body_of(request, _reason)
    command = commands.ReverseCharge(_path(request, "hotel"), _path(request, "booking"), _line(request), body.reason)
    return await _bill(request, command)


async def split_charge(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folio/charges/{line}/actions/split"""
    body = await body_of(request, _part)
    command = commands.SplitCharge(
        _path(request, "hotel"), _path(request, "booking"), _line(request), body.amount, body.quantity
    )
    return await _bill(request, command)


async def move_charges(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folio/actions/transfer"""
    body = await body_of(request, _transfer)
    command = commands.MoveCharges(
        _path(request, "hotel"), _path(request, "booking"), body.lines, body.to_folio, body.to_booking
    )
    return await _bill(request, command)


async def _bill(request: web.Request, message: Command | Query, status: int = 200) -> web.Response:
    reply, headers = await ask_billing(request, message, BillReply)
    headers["ETag"] = f'"{reply.bill.version}"'
    return json_response(resources.bill(reply), status, headers)


async def show_billing_terms(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/billing"""
    return await _billing_terms_response(request, queries.ShowBillingTerms(_path(request, "hotel")))


async def change_billing_terms(request: web.Request) -> web.Response:
    """PUT /v1/hotels/{hotel}/billing"""
    terms = await body_of(request, _billing_terms)
    return await _billing_terms_response(request, commands.ChangeBillingTerms(_path(request, "hotel"), terms))


async def _billing_terms_response(request: web.Request, message: Command | Query) -> web.Response:
    reply, headers = await ask_billing(request, message, LedgerReply)
    headers["ETag"] = f'"{reply.ledger.version}"'
    return json_response(resources.billing_terms(reply), headers=headers)


async def list_open_balances(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/open-balances"""
    listing = query_of(request, OpenBalancesQuery)
    hotel = _path(request, "hotel")
    query = queries.ListOpenBalances(hotel, listing.balance, listing.cursor or "", listing.limit)
    reply, _ = await ask_billing(request, query, OpenBalancesReply)
    owed = [resources.open_balance(one, reply.currency) for one in reply.balances]
    return json_response(page(owed, owed[-1].booking if reply.more else None))


async def show_trial_balance(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/ledger"""
    hotel = _path(request, "hotel")
    reply, _ = await ask_billing(request, queries.TrialBalance(hotel), TrialBalanceReply)
    return json_response(resources.trial_balance(hotel, reply))
