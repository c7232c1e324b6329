"""The formats of a document over HTTP: what each is, what is refused, and that no other request waits for it."""

import asyncio
from collections.abc import Iterator
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from threading import Event, Lock
from time import perf_counter
from typing import Any

import pytest
from innkeeper.http.api import documents
from innkeeper.http.documents import fonts
from innkeeper.http.documents.pdf import pdf_document
from innkeeper.http.documents.renderer import DocumentRenderer
from innkeeper.protocol.billing.folio import Invoice
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.values.limits import documents_waiting_max
from pypdf import PdfReader
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.sample_documents import invoice_of, lines_of

SELLER = {
    "name": "Hotel do Mar, Lda.", "address": ["Rua da Praia 12"], "postal_code": "8600-315", "city": "Lagos",
    "country": "PT", "vat_id": "PT500123456",
}  # fmt: skip
VAT = {"code": "VAT", "name": "IVA 6 %", "applies_to": ["room", "minibar"], "rate": "6", "included": True}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


def issue(gateway: Gateway, **buyer: Any) -> str:
    """Invoices a bottle; the path of the invoice."""
    hotel = gateway.open_hotel()
    assert gateway.send("PATCH", hotel, {"taxes": [VAT]}).status == 200
    assert gateway.send("PUT", f"{hotel}/billing", {"seller": SELLER, "language": "pt"}).status == 200
    booking = booking_path(hotel, gateway.book(hotel, 0, 2))
    charge = {"charge": "minibar", "text": "Água", "amount": {"amount": "10.60", "currency": "EUR"}}
    assert gateway.post(f"{booking}/folio/charges", charge).status == 201
    issued = gateway.post(f"{booking}/invoices", {"buyer": {"name": "Ana", **buyer}})
    assert issued.status == 201, issued.body
    return issued.headers["location"]


def test_a_document_is_given_in_each_format(gateway: Gateway) -> None:
    invoice = issue(gateway, country="DE", address=["{nb}"])
    html = gateway.get(invoice, format="html")
    assert (html.status, html.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Água" in html.body.decode()
    for form in ("pdf", "factur-x"):
        pdf = gateway.get(invoice, format=form)
        assert (pdf.status, pdf.headers["content-type"]) == (200, "application/pdf")
        assert pdf.headers["content-disposition"] == 'inline; filename="INV-1.pdf"'
        reader = PdfReader(BytesIO(pdf.body))
        text = reader.pages[0].extract_text()
        for expected in ("Fatura INV-1", "Água", "10,60", "{nb}", "Alemanha", "Página 1 de 1"):
            assert expected in text, expected
        assert list(reader.attachments) == (["factur-x.xml"] if form == "factur-x" else [])
    ubl = gateway.get(invoice, format="ubl")
    assert (ubl.status, ubl.headers["content-type"]) == (200, "application/xml")
    assert ubl.headers["content-disposition"] == 'inline; filename="INV-1.xml"'
    assert b">10.60<" in ubl.body


def test_an_unknown_format_is_refused(gateway: Gateway) -> None:
    assert_problem(gateway.get(issue(gateway), format="docx"), 422, "invalid")


def test_a_pdf_without_its_fonts_is_refused_and_the_html_is_there(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = fonts.installed_fonts().folders[:1]
    monkeypatch.setattr(fonts, "installed_fonts", lambda: fonts.Fonts(letters, False))
    invoice = issue(gateway, name="王小明")
    problem = assert_problem(gateway.get(invoice, format="pdf"), 406, "format_unavailable")
    assert (problem["format"], problem["extra"]) == ("pdf", "innkeeper[cjk]")
    assert "install innkeeper[cjk]" in problem["detail"]
    assert "王小明" in gateway.get(invoice, format="html").body.decode()


def test_an_electronic_invoice_names_what_it_lacks(gateway: Gateway) -> None:
    invoice = issue(gateway)
    for form in ("ubl", "factur-x"):
        problem = assert_problem(gateway.get(invoice, format=form), 409, "document_incomplete")
        assert [error["field"] for error in problem["errors"]] == ["buyer.country"]


def test_an_electronic_invoice_without_its_library_is_refused(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice = issue(gateway, country="PT")
    monkeypatch.setattr(documents, "find_spec", lambda name: None if name == "facturx" else find_spec(name))
    problem = assert_problem(gateway.get(invoice, format="ubl"), 406, "format_unavailable")
    assert problem["extra"] == "innkeeper[einvoice]"
    assert gateway.get(invoice, format="pdf").status == 200


def test_the_loop_goes_on_while_a_document_is_rendered() -> None:
    invoice = invoice_of(lines_of(600))
    pdf_document(invoice_of())  # loads the fonts

    async def render_and_count() -> tuple[float, float]:
        began = before = perf_counter()
        longest = 0.0
        task = asyncio.create_task(DocumentRenderer().render(pdf_document, invoice))
        while not task.done():
            await asyncio.sleep(0)
            now = perf_counter()
            longest, before = max(longest, now - before), now
        assert task.result()
        return longest, perf_counter() - began

    longest, whole = asyncio.run(render_and_count())
    assert longest < whole / 2, "the loop waited for the document"


def test_documents_are_rendered_one_at_a_time_also_after_a_client_has_left() -> None:
    running = Lock()
    first_began, go_on = Event(), Event()

    def slow(invoice: Invoice) -> bytes:
        assert running.acquire(blocking=False), "two documents at once"
        first_began.set()
        assert go_on.wait(60)
        running.release()
        return b"done"

    async def leave_and_ask_again() -> bytes:
        renderer = DocumentRenderer()
        left = asyncio.create_task(renderer.render(slow, invoice_of()))
        await asyncio.to_thread(first_began.wait, 60)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        second = asyncio.create_task(renderer.render(slow, invoice_of()))
        await asyncio.sleep(0)
        go_on.set()
        return await second

    assert asyncio.run(leave_and_ask_again()) == b"done"


def test_a_request_is_refused_while_too_many_documents_wait() -> None:
    go_on = Event()

    async def ask_for_too_many() -> None:
        renderer = DocumentRenderer()

        def wait(invoice: Invoice) -> bytes:
            assert go_on.wait(60)
            return b""

        asked = [asyncio.create_task(renderer.render(wait, invoice_of())) for _ in range(documents_waiting_max)]
        await asyncio.sleep(0)  # each has begun to wait
        with pytest.raises(Refused) as caught:
            await renderer.render(wait, invoice_of())
        assert isinstance(caught.value.refusal, Unavailable)
        go_on.set()
        await asyncio.gather(*asked)
        assert await renderer.render(wait, invoice_of()) == b""

    asyncio.run(ask_for_too_many())
