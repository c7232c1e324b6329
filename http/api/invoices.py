"""The handlers of the routes of invoices and credit notes."""

import msgspec
from aiohttp import web
from innkeeper.http.api import invoice_resources as resources
from innkeeper.http.api.billing import FolioNumber, RequestBody, ask_billing
from innkeeper.http.api.documents import DocumentForm, document_response
from innkeeper.http.api.parsing import PageQuery, body_of, number_of, query_of
from innkeeper.http.api.rendering import json_response, page
from innkeeper.protocol.billing import commands, queries
from innkeeper.protocol.billing.replies import InvoiceReply, InvoicesReply
from innkeeper.protocol.billing.terms import PartyRequest
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.text import Language, Name


class InvoiceRequest(RequestBody, frozen=True):
    """The folio to invoice, the buyer where it is not the folio's, and the language where it is neither the guest's nor
    the hotel's."""

    folio: FolioNumber = 1
    buyer: PartyRequest | None = None
    language: Language | None = None


class DepositInvoiceRequest(InvoiceRequest, frozen=True):
    """What of the payments on account to invoice: by default all that is on no document yet."""

    amount: Money | None = None


class CreditRequest(RequestBody, frozen=True):
    """The reason for a credit note, and the lines of the invoice that it credits: by default all that is left."""

    reason: Name
    lines: commands.CreditedLines = ()


class ReissueRequest(RequestBody, frozen=True):
    """Why an invoice is issued anew, and to whom."""

    reason: Name
    buyer: PartyRequest
    language: Language | None = None


class DocumentFormat(RequestBody, frozen=True):
    """The format of a document."""

    format: DocumentForm = "json"


_invoice = msgspec.json.Decoder(InvoiceRequest)
_deposit_invoice = msgspec.json.Decoder(DepositInvoiceRequest)
_credit = msgspec.json.Decoder(CreditRequest)
_reissue = msgspec.json.Decoder(ReissueRequest)


def _path(request: web.Request, name: str) -> str:
    return request.match_info[name]


async def issue_invoice(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/invoices"""
    body = await body_of(request, _invoice)
    command = commands.IssueInvoice(
        _path(request, "hotel"), _path(request, "booking"), body.folio, body.buyer, body.language
    )
    return await _new_document(request, command)


async def issue_deposit_invoice(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/deposit-invoices"""
    body = await body_of(request, _deposit_invoice)
    command = commands.IssueDepositInvoice(
        _path(request, "hotel"), _path(request, "booking"), body.folio, body.amount, body.buyer, body.language
    )
    return await _new_document(request, command)


async def issue_credit_note(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/invoices/{number}/actions/credit"""
    body = await body_of(request, _credit)
    command = commands.IssueCreditNote(_path(request, "hotel"), _path(request, "number"), body.reason, body.lines)
    return await _new_document(request, command)


async def reissue_invoice(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/invoices/{number}/actions/reissue"""
    body = await body_of(request, _reissue)
    command = commands.ReissueInvoice(
        _path(request, "hotel"), _path(request, "number"), body.reason, body.buyer, body.language
    )
    return await _new_document(request, command)


async def _new_document(request: web.Request, command: Command) -> web.Response:
    reply, headers = await ask_billing(request, command, InvoiceReply)
    headers["Location"] = f"/v1/hotels/{_path(request, 'hotel')}/invoices/{reply.invoice.number}"
    headers["ETag"] = f'"{reply.invoice.version}"'
    return json_response(resources.invoice(reply.shown), 201, headers)


async def list_invoices(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/invoices"""
    return await _invoices(request, None)


async def list_booking_invoices(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/bookings/{booking}/invoices"""
    return await _invoices(request, _path(request, "booking"))


async def _invoices(request: web.Request, booking: str | None) -> web.Response:
    listing = query_of(request, PageQuery)
    skip = 0 if listing.cursor is None else number_of(listing.cursor)
    query = queries.ListInvoices(_path(request, "hotel"), booking, skip, listing.limit)
    reply, _ = await ask_billing(request, query, InvoicesReply)
    end = skip + len(reply.invoices)
    return json_response(
        page((resources.invoice(each.shown) for each in reply.invoices), str(end) if end < reply.number else None)
    )


async def show_invoice(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/invoices/{number}"""
    format_ = query_of(request, DocumentFormat).format
    reply, _ = await ask_billing(
        request, queries.ShowInvoice(_path(request, "hotel"), _path(request, "number")), InvoiceReply
    )
    if format_ != "json":
        return await document_response(request, reply.shown, format_)
    return json_response(resources.invoice(reply.shown), headers={"ETag": f'"{reply.invoice.version}"'})
