"""Invoices and credit notes on paper: the page and the PDF say what the document says, whatever a guest is called."""

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
from innkeeper.protocol.billing.terms import ChargeKind, Party, PartyPlan
from pypdf import PdfReader
from support.billing_fixture import CITY, SERVICE, VAT, LedgerFixture


@pytest.fixture(scope="module")
def books() -> LedgerFixture:
    """A hotel with taxes, and a guest who slept two nights and drank something."""
    return LedgerFixture(VAT, CITY, SERVICE, invoice_prefix="FT-", credit_note_prefix="NC-")


@pytest.fixture(scope="module")
def invoice(books: LedgerFixture) -> Invoice:
    """What the guest was invoiced."""
    booking = books.book(0, 2)
    for number in range(3):
        books.post_charge(booking, 1_234_50, charge=ChargeKind.MINIBAR, text=f"Bottle {number}")
    buyer = PartyPlan("Łukasz Ñúñez & Šárka <b>Öztürk</b>", ("Οδός 1", "Улица 2"), "PL777")
    return books.issue_invoice(booking, buyer=buyer)


@pytest.fixture(scope="module")
def note(books: LedgerFixture, invoice: Invoice) -> Invoice:
    """What took it back."""
    return books.issue_credit_note(invoice.number)


class Words(HTMLParser):
    """The text of a page, and its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.elements: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def words_of_page(invoice: Invoice) -> str:
    return " ".join(Words(html_document(invoice)).text)


def pages_of_pdf(invoice: Invoice) -> list[str]:
    return [page.extract_text() for page in PdfReader(BytesIO(pdf_document(invoice))).pages]


def words_of_pdf(invoice: Invoice) -> str:
    return " ".join(pages_of_pdf(invoice))


@pytest.mark.parametrize("words", [words_of_page, words_of_pdf])
def test_all_that_the_invoice_says_is_on_it(words: Callable[[Invoice], str], invoice: Invoice) -> None:
    said = re.sub(r"\s+", " ", words(invoice))
    for text in (
        "Invoice FT-1", "Seaside Ltd", "1 Beach Road", "Tax number PT500", "Łukasz Ñúñez & Šárka <b>Öztürk</b>",
        "Οδός 1", "Улица 2", "Tax number PL777", invoice.booking, "Bottle 2", "Service 10 %", "10 %", "1,234.50",
        f"{invoice.total // 100:,}.{invoice.total % 100:02}", "EUR",
    ):  # fmt: skip
        assert text in said, text


@pytest.mark.parametrize("words", [words_of_page, words_of_pdf])
def test_a_credit_note_says_what_it_takes_back_and_why(words: Callable[[Invoice], str], note: Invoice) -> None:
    said = re.sub(r"\s+", " ", words(note))
    for text in ("Credit note NC-1", "Credits invoice", "FT-1", "wrong name", "−1,234.50"):
        assert text in said, text


def test_a_document_is_the_same_bytes_each_time(invoice: Invoice) -> None:
    assert html_document(invoice) == html_document(invoice)
    assert pdf_document(invoice) == pdf_document(invoice)


def test_a_long_invoice_goes_on_page_after_page_under_the_same_headings(invoice: Invoice) -> None:
    lines = [
        msgspec.structs.replace(invoice.lines[0], id=number, text=f"Line {number} ends", night=None)
        for number in range(200)
    ]
    pages = pages_of_pdf(msgspec.structs.replace(invoice, lines=tuple(lines)))
    assert len(pages) > 4
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
    assert all("Amount, EUR" in page for page in pages[:-1])
    found = [int(number) for page in pages for number in re.findall(r"Line (\d+) ends", page)]
    assert found == list(range(200))


def test_a_currency_without_cents_has_none_on_paper(invoice: Invoice) -> None:
    yen = msgspec.structs.replace(invoice, currency="JPY", total=1_234_567)
    assert "1,234,567" in words_of_page(yen)
    assert "1,234,567" in words_of_pdf(yen)


@settings(max_examples=40, deadline=timedelta(seconds=20))
@given(name=st.text(min_size=1, max_size=200), line=st.text(max_size=200))
def test_no_name_breaks_a_document_or_becomes_a_part_of_the_page(name: str, line: str, invoice: Invoice) -> None:
    strange = msgspec.structs.replace(invoice, buyer=Party(name, (line,), line), reason=line)
    plain = msgspec.structs.replace(invoice, buyer=Party("a", ("a",), line and "a"), reason=line and "a")
    assert Words(html_document(strange)).elements == Words(html_document(plain)).elements
    assert PdfReader(BytesIO(pdf_document(strange))).pages
