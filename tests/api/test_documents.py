"""Invoices and credit notes as HTML and PDF: both contain the whole document, whatever characters a name has."""

import re
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from io import BytesIO

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.http.documents.invoices import html_document
from innkeeper.http.documents.pdf import pdf_document
from innkeeper.protocol.billing.folio import Invoice
from innkeeper.protocol.billing.terms import Party, PartyRequest
from innkeeper.protocol.values.taxes import ChargeKind
from pypdf import PdfReader
from support.billing_fixture import CITY, SERVICE, VAT, LedgerFixture


@pytest.fixture(scope="module")
def ledger() -> LedgerFixture:
    """The ledger of a hotel with taxes."""
    return LedgerFixture(VAT, CITY, SERVICE, invoice_prefix="FT-", credit_note_prefix="NC-")


@pytest.fixture(scope="module")
def invoice(ledger: LedgerFixture) -> Invoice:
    """An invoice for two nights and three bottles."""
    booking = ledger.book(0, 2)
    for number in range(3):
        ledger.post_charge(booking, 1_234_50, charge=ChargeKind.MINIBAR, text=f"Bottle {number}")
    buyer = PartyRequest("Łukasz Ñúñez & Šárka <b>Öztürk</b>", ("Οδός 1", "Улица 2"), "PL777")
    return ledger.issue_invoice(booking, buyer=buyer)


@pytest.fixture(scope="module")
def credit_note(ledger: LedgerFixture, invoice: Invoice) -> Invoice:
    """The credit note for that invoice."""
    return ledger.issue_credit_note(invoice.number)


class PageParser(HTMLParser):
    """The text and the elements of an HTML page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.elements: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def text_of_html(invoice: Invoice) -> str:
    return " ".join(PageParser(html_document(invoice)).text)


def pages_of_pdf(invoice: Invoice) -> list[str]:
    return [page.extract_text() for page in PdfReader(BytesIO(pdf_document(invoice))).pages]


def text_of_pdf(invoice: Invoice) -> str:
    return " ".join(pages_of_pdf(invoice))


@pytest.mark.parametrize("text_of", [text_of_html, text_of_pdf])
def test_an_invoice_contains_all_its_data(text_of: Callable[[Invoice], str], invoice: Invoice) -> None:
    content = re.sub(r"\s+", " ", text_of(invoice))
    for expected in (
        "Invoice FT-1", "Seaside Ltd", "1 Beach Road", "Tax number PT500", "Łukasz Ñúñez & Šárka <b>Öztürk</b>",
        "Οδός 1", "Улица 2", "Tax number PL777", invoice.stay.locator, "Bottle 2", "Service 10 %", "10 %", "1,234.50",
        f"{invoice.total // 100:,}.{invoice.total % 100:02}", "EUR",
    ):  # fmt: skip
        assert expected in content, expected


@pytest.mark.parametrize("text_of", [text_of_html, text_of_pdf])
def test_a_credit_note_contains_its_invoice_and_reason(text_of: Callable[[Invoice], str], credit_note: Invoice) -> None:
    content = re.sub(r"\s+", " ", text_of(credit_note))
    for expected in ("Credit note NC-1", "Credits invoice", "FT-1", "wrong name", "−1,357.95"):
        assert expected in content, expected


def test_a_document_is_rendered_to_the_same_bytes_each_time(invoice: Invoice) -> None:
    assert html_document(invoice) == html_document(invoice)
    assert pdf_document(invoice) == pdf_document(invoice)


def test_a_long_invoice_repeats_its_headings_on_each_page(invoice: Invoice) -> None:
    lines = [
        msgspec.structs.replace(invoice.lines[0], line=number, text=f"Line {number} ends", night=None)
        for number in range(200)
    ]
    pages = pages_of_pdf(msgspec.structs.replace(invoice, lines=tuple(lines)))
    assert len(pages) > 4
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
    assert all("Amount, EUR" in page for page in pages[:-1])
    found = [int(number) for page in pages for number in re.findall(r"Line (\d+) ends", page)]
    assert found == list(range(200))


def test_a_currency_without_minor_units_is_shown_without_decimals(invoice: Invoice) -> None:
    yen = msgspec.structs.replace(invoice, currency="JPY", total=1_234_567)
    assert "1,234,567" in text_of_html(yen)
    assert "1,234,567" in text_of_pdf(yen)


@pytest.mark.slow
@settings(max_examples=40, deadline=timedelta(seconds=20))
@given(name=st.text(min_size=1, max_size=200), line=st.text(max_size=200))
def test_no_name_breaks_a_document_or_becomes_markup(name: str, line: str, invoice: Invoice) -> None:
    strange = msgspec.structs.replace(invoice, buyer=Party(name, (line,), line), reason=line)
    plain = msgspec.structs.replace(invoice, buyer=Party("a", (line and "a",), line and "a"), reason=line and "a")
    assert PageParser(html_document(strange)).elements == PageParser(html_document(plain)).elements
    assert PdfReader(BytesIO(pdf_document(strange))).pages
