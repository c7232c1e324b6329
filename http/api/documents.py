"""Gives invoices and credit notes as documents: HTML, PDF, and electronic invoices by EN 16931."""

import asyncio
from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal

from aiohttp import web
from innkeeper.http.documents.html import HTML_HEADERS, html_document
from innkeeper.http.documents.renderer import DocumentRenderer
from innkeeper.protocol.billing.folio import Invoice
from innkeeper.protocol.billing.refusals import FormatUnavailable
from innkeeper.protocol.messages.refusals import Refused

DocumentForm = Literal["json", "html", "pdf", "ubl", "factur-x"]
"""The formats of a document."""

MEDIA = ("text/html", "application/pdf", "application/xml")
"""Their media types, beside JSON."""

DOCUMENTS: web.AppKey[DocumentRenderer] = web.AppKey("documents")

_EXTRA = "innkeeper[einvoice]"
_TYPES = {"pdf": ("application/pdf", "pdf"), "ubl": ("application/xml", "xml"), "factur-x": ("application/pdf", "pdf")}


async def document_response(request: web.Request, invoice: Invoice, form: DocumentForm) -> web.Response:
    """The document in a format other than JSON. Raises `Refused`."""
    if form == "html":
        text = await asyncio.to_thread(html_document, invoice)
        return web.Response(text=text, content_type="text/html", headers=HTML_HEADERS)
    body = await request.app[DOCUMENTS].render(_writer_of(form), invoice)
    content_type, ending = _TYPES[form]
    headers = {"Content-Disposition": f'inline; filename="{invoice.number.replace("/", "-")}.{ending}"'}
    return web.Response(body=body, content_type=content_type, headers=headers)


def _writer_of(form: str) -> Callable[[Invoice], bytes]:
    """What writes a format."""
    if form == "pdf":
        return _pdf
    if find_spec("facturx") is None:
        raise Refused(FormatUnavailable(form, "the library for electronic invoices is not installed", _EXTRA))
    return _ubl if form == "ubl" else _facturx


# The libraries are imported in the thread, because that takes long, and only when one is needed.
def _pdf(invoice: Invoice) -> bytes:
    from innkeeper.http.documents.pdf import pdf_document

    return pdf_document(invoice)


def _ubl(invoice: Invoice) -> bytes:
    from innkeeper.http.documents.electronic_formats import ubl_document

    return ubl_document(invoice)


def _facturx(invoice: Invoice) -> bytes:
    from innkeeper.http.documents.electronic_formats import facturx_document

    return facturx_document(invoice)
