"""Parse → ask → render, for billing: one function per route of bills, payments and invoices."""

import asyncio
from collections.abc import Collection
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec
from aiohttp import web
from innkeeper.http.api import billing_resources as resources
from innkeeper.http.api.parsing import Page, body_of, query_of
from innkeeper.http.api.rendering import json_response, page
from innkeeper.http.api.reservations import DESK, ask
from innkeeper.http.api.subscribers import SERVICES
from innkeeper.http.documents.invoices import HTML_HEADERS, html_document
from innkeeper.protocol.billing import commands, queries
from innkeeper.protocol.billing.payments import NewsTaken, TellOfPayment
from innkeeper.protocol.billing.replies import (
    BillReply,
    FolioReply,
    InvoiceReply,
    InvoicesReply,
    LedgerReply,
    PaymentReply,
    TrialBalanceReply,
)
from innkeeper.protocol.billing.terms import BillingPlan, ChargeKind, PartyPlan
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.subscriptions import AwaitSubscriber
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.contexts import BILLING
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.text import Line, Name, Quantity, Slug
from msgspec import Meta

R = TypeVar("R", bound=Reply)

PROVIDERS: web.AppKey[Collection[str]] = web.AppKey("providers")

FolioNumber = Annotated[int, Meta(ge=1, le=limits.folios_per_booking_max)]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of what the routes of billing take."""


class ChargeRequest(Request, frozen=True):
    """Charge so many of something, at this price each."""

    charge: ChargeKind
    text: Name
    amount: Money
    quantity: Quantity = 1
    folio: FolioNumber = 1


class Reason(Request, frozen=True):
    """Why."""

    reason: Name


class Part(Request, frozen=True):
    """How much of it."""

    amount: Money


class Transfer(Request, frozen=True):
    """Which lines go to which folio, of this booking or of another one."""

    lines: Annotated[tuple[int, ...], Meta(min_length=1, max_length=limits.lines_per_folio_max)]
    to_folio: FolioNumber = 1
    to_booking: Line | None = None


class NewFolio(Request, frozen=True):
    """Who pays it."""

    buyer: PartyPlan


class PaymentRequest(Request, frozen=True):
    """Money that is here (cash, terminal, transfer), or a provider that shall be asked for it; without `capture` only
    to reserve it. `token` is what the provider gave the guest for this payment."""

    method: Slug
    amount: Money
    folio: FolioNumber = 1
    capture: bool = True
    token: Line = ""
    reference: Line = ""


class Captured(Request, frozen=True):
    """How much is taken of what was reserved: all of it unless said."""

    amount: Money | None = None
    reference: Line = ""


class Voided(Request, frozen=True):
    """Why the money is not wanted any more."""

    reason: Line = ""


class Refund(Request, frozen=True):
    """How much goes back, all of it unless said, and why."""

    amount: Money | None = None
    reason: Line = ""
    reference: Line = ""


class InvoiceRequest(Request, frozen=True):
    """Which folio is invoiced, and to whom if not to whom it names."""

    folio: FolioNumber = 1
    buyer: PartyPlan | None = None


class DocumentForm(Request, frozen=True):
    """In which form a document is wanted."""

    format: Literal["json", "html", "pdf"] = "json"


async def _ask(request: web.Request, message: Command | Query, kind: type[R]) -> tuple[R, dict[str, str]]:
    """Ask billing, once it has heard of all that was acknowledged before this request."""
    ends = await request.app[DESK].positions(message.hotel)
    await request.app[SERVICES].ask(AwaitSubscriber("billing", ends))
    return await ask(request, message, kind, BILLING)


def _named(request: web.Request, name: str) -> str:
    return request.match_info[name]


def _line(request: web.Request) -> int:
    text = request.match_info["line"]
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise invalid("line", "number", "a line is named by its number")
    return int(text)


_charge = msgspec.json.Decoder(ChargeRequest)
_reason = msgspec.json.Decoder(Reason)
_part = msgspec.json.Decoder(Part)
_transfer = msgspec.json.Decoder(Transfer)
_new_folio = msgspec.json.Decoder(NewFolio)
_payment = msgspec.json.Decoder(PaymentRequest)
_captured = msgspec.json.Decoder(Captured)
_voided = msgspec.json.Decoder(Voided)
_refund = msgspec.json.Decoder(Refund)
_invoice = msgspec.json.Decoder(InvoiceRequest)
_plan = msgspec.json.Decoder(BillingPlan)


async def show_bill(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/bookings/{booking}/folio"""
    return await _the_bill(request, queries.ShowBill(_named(request, "hotel"), _named(request, "booking")))


async def open_folio(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folios"""
    asked = await body_of(request, _new_folio)
    command = commands.OpenFolio(_named(request, "hotel"), _named(request, "booking"), asked.buyer)
    return await _the_bill(request, command, 201)


async def post_charge(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folio/charges"""
    asked = await body_of(request, _charge)
    command = commands.PostCharge(
        _named(request, "hotel"), _named(request, "booking"), charge=asked.charge, text=asked.text,
        unit_amount=asked.amount, quantity=asked.quantity, folio=asked.folio,
    )  # fmt: skip
    return await _the_bill(request, command, 201)


async def reverse_charge(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folio/charges/{line}/actions/reverse"""
    asked = await body_of(request, _reason)
    command = commands.ReverseCharge(_named(request, "hotel"), _named(request, "booking"), _line(request), asked.reason)
    return await _the_bill(request, command)


async def split_charge(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folio/charges/{line}/actions/split"""
    asked = await body_of(request, _part)
    command = commands.SplitCharge(_named(request, "hotel"), _named(request, "booking"), _line(request), asked.amount)
    return await _the_bill(request, command)


async def move_charges(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folio/actions/transfer"""
    asked = await body_of(request, _transfer)
    command = commands.MoveCharges(
        _named(request, "hotel"), _named(request, "booking"), asked.lines, asked.to_folio, asked.to_booking
    )
    return await _the_bill(request, command)


async def _the_bill(request: web.Request, message: Command | Query, status: int = 200) -> web.Response:
    kind: Any = Reply
    reply, headers = await _ask(request, message, kind)
    if isinstance(reply, FolioReply):  # they all answer with the whole bill
        reply, _ = await ask(request, queries.ShowBill(_named(request, "hotel"), reply.booking), BillReply, BILLING)
    assert isinstance(reply, BillReply)
    return json_response(resources.bill(reply), status, headers)


async def pay(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/folio/payments"""
    asked = await body_of(request, _payment)
    hotel, booking = _named(request, "hotel"), _named(request, "booking")
    command: Command
    if asked.method in commands.MANUAL_METHODS:
        if not asked.capture or asked.token:
            raise invalid("method", "provider", f"only a provider reserves money or takes a token, not {asked.method}")
        command = commands.RecordPayment(
            hotel,
            booking,
            method=cast(commands.ManualMethod, asked.method),
            amount=asked.amount,
            folio=asked.folio,
            reference=asked.reference,
        )
    else:
        providers = request.app[PROVIDERS]
        if asked.method not in providers:
            known = ", ".join((*commands.MANUAL_METHODS, *sorted(providers)))
            raise invalid("method", "known", f"expected one of {known}")
        command = commands.StartPayment(
            hotel, booking, provider=asked.method, amount=asked.amount, folio=asked.folio, capture=asked.capture,
            token=asked.token,
        )  # fmt: skip
    return await _the_payment(request, command, 201)


async def hear_of_payment(request: web.Request) -> web.Response:
    """POST /v1/payment-providers/{provider}/notifications"""
    headers = {name.lower(): value for name, value in request.headers.items() if name.lower().startswith("webhook-")}
    message = TellOfPayment(request.match_info["provider"], headers, await request.read())
    reply = await request.app[SERVICES].ask(message)
    assert isinstance(reply, NewsTaken)
    return json_response(reply.news)


async def show_payment(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/payments/{payment}"""
    return await _the_payment(request, queries.ShowPayment(_named(request, "hotel"), _named(request, "payment")))


async def capture_payment(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/payments/{payment}/actions/capture"""
    asked = await body_of(request, _captured)
    command = commands.CapturePayment(
        _named(request, "hotel"), _named(request, "payment"), asked.amount, asked.reference
    )
    return await _the_payment(request, command)


async def void_payment(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/payments/{payment}/actions/void"""
    asked = await body_of(request, _voided)
    command = commands.VoidPayment(_named(request, "hotel"), _named(request, "payment"), asked.reason)
    return await _the_payment(request, command)


async def refund_payment(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/payments/{payment}/actions/refund"""
    asked = await body_of(request, _refund)
    command = commands.RefundPayment(
        _named(request, "hotel"), _named(request, "payment"), asked.amount, asked.reason, asked.reference
    )
    return await _the_payment(request, command)


async def _the_payment(request: web.Request, message: Command | Query, status: int = 200) -> web.Response:
    reply, headers = await _ask(request, message, PaymentReply)
    if status == 201:
        headers["Location"] = f"/v1/hotels/{_named(request, 'hotel')}/payments/{reply.payment.id}"
    return json_response(resources.payment(reply.payment, reply.currency), status, headers)


async def issue_invoice(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/invoices"""
    asked = await body_of(request, _invoice)
    command = commands.IssueInvoice(_named(request, "hotel"), _named(request, "booking"), asked.folio, asked.buyer)
    return await _new_document(request, command)


async def issue_credit_note(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/invoices/{number}/actions/credit"""
    asked = await body_of(request, _reason)
    command = commands.IssueCreditNote(_named(request, "hotel"), _named(request, "number"), asked.reason)
    return await _new_document(request, command)


async def _new_document(request: web.Request, command: Command) -> web.Response:
    reply, headers = await _ask(request, command, InvoiceReply)
    headers["Location"] = f"/v1/hotels/{_named(request, 'hotel')}/invoices/{reply.invoice.number}"
    return json_response(resources.invoice(reply.invoice), 201, headers)


async def list_invoices(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/invoices"""
    return await _invoices(request, None)


async def list_booking_invoices(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/bookings/{booking}/invoices"""
    return await _invoices(request, _named(request, "booking"))


async def _invoices(request: web.Request, booking: str | None) -> web.Response:
    asked = query_of(request, Page)
    skip = _skipped(asked.cursor)
    query = queries.ListInvoices(_named(request, "hotel"), booking, skip, asked.limit)
    reply, _ = await _ask(request, query, InvoicesReply)
    end = skip + len(reply.invoices)
    return json_response(page(map(resources.invoice, reply.invoices), str(end) if end < reply.number else None))


def _skipped(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 16):
        raise invalid("cursor", "unknown", "this cursor was not given out by this list")
    return int(cursor)


async def show_invoice(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/invoices/{number}"""
    form = query_of(request, DocumentForm).format
    reply, _ = await _ask(
        request, queries.ShowInvoice(_named(request, "hotel"), _named(request, "number")), InvoiceReply
    )
    if form == "html":
        text = await asyncio.to_thread(html_document, reply.invoice)
        return web.Response(text=text, content_type="text/html", headers=HTML_HEADERS)
    if form == "pdf":
        name = f'inline; filename="{reply.invoice.number.replace("/", "-")}.pdf"'
        from innkeeper.http.documents.pdf import pdf_document

        body = await asyncio.to_thread(pdf_document, reply.invoice)
        return web.Response(body=body, content_type="application/pdf", headers={"Content-Disposition": name})
    return json_response(resources.invoice(reply.invoice))


async def show_billing_terms(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/billing"""
    reply, _ = await _ask(request, queries.ShowBillingTerms(_named(request, "hotel")), LedgerReply)
    return json_response(resources.billing_terms(reply))


async def change_billing_terms(request: web.Request) -> web.Response:
    """PUT /v1/hotels/{hotel}/billing"""
    plan = await body_of(request, _plan)
    reply, headers = await _ask(request, commands.ChangeBillingTerms(_named(request, "hotel"), plan), LedgerReply)
    return json_response(resources.billing_terms(reply), headers=headers)


async def show_trial_balance(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/ledger"""
    hotel = _named(request, "hotel")
    reply, _ = await _ask(request, queries.TrialBalance(hotel), TrialBalanceReply)
    return json_response(resources.trial_balance(hotel, reply))
