"""Invoices and credit notes as HTML and PDF: both contain the whole document, in its language."""

import re
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.actors.billing.rules.invoicing import _REASONS
from innkeeper.http.documents.html import html_document
from innkeeper.http.documents.pdf import pdf_document
from innkeeper.http.documents.wording import language_of
from innkeeper.protocol.billing.folio import DocumentKind, Invoice, ReversalReason
from innkeeper.protocol.billing.refusals import FormatUnavailable
from innkeeper.protocol.billing.terms import Party
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.values.taxes import NOTHING_DUE, TaxCategory
from innkeeper.protocol.values.text import Name
from pypdf import PdfReader
from support.sample_documents import (
    credit_note_of,
    deposit_invoice_of,
    invoice_of,
    lines_of,
    settlement_of,
    totals_of,
    untaxed,
)

LANGUAGES = ("en", "de", "pt")


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
    return plain(" ".join(PageParser(html_document(invoice)).text))


def pages_of_pdf(invoice: Invoice) -> list[str]:
    return [plain(page.extract_text()) for page in PdfReader(BytesIO(pdf_document(invoice))).pages]


def text_of_pdf(invoice: Invoice) -> str:
    return " ".join(pages_of_pdf(invoice))


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\u200b", ""))


both_forms = pytest.mark.parametrize("text_of", [text_of_html, text_of_pdf])


@both_forms
def test_an_invoice_contains_all_its_data(text_of: Callable[[Invoice], str]) -> None:
    content = text_of(invoice_of())
    for expected in (
        "Invoice FT-2027/13", "Date of issue 24 Jul 2027", "Due on 7 Aug 2027", "Booking K7M2XQ", "Guest Ana Souza",
        "Room 101, DBL", "Stay 20 Jul 2027 – 24 Jul 2027", "Hotel do Mar, Lda.", "Rua da Praia 12", "8600-315 Lagos",
        "Portugal", "VAT ID PT500123456", "conta@hoteldomar.example", "Müller & Söhne GmbH", "40212 Düsseldorf",
        "Germany", "VAT ID DE123456789", "22 Jul 2027 Breakfast buffet 3 10.00 19 % 30.00 5.70 35.70",
        "20 Jul 2027 Room 101, DBL 1 100.00 7 % 100.00 9.00 109.00", "Net 660.00", "Tax 65.40", "Total, EUR 725.40",
        "Paid 50.00", "To pay, EUR 675.40", "VAT 7 % 600.00 42.00 642.00", "VAT 19 % 60.00 11.40 71.40",
        "City tax 0.00 12.00 12.00", "Card, 1 Jul 2027 30.00", "Bank transfer, 10 Jul 2027 20.00",
        "IBAN PT50 0002 0123 1234 5678 9015 4", "BIC CGDIPTPL", "Payment reference FT-2027/13",
        "Registered in Lagos, 500123456", "Amounts in EUR",
    ):  # fmt: skip
        assert expected in content, expected


@both_forms
@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de", ("Rechnung FT-2027/13", "20.07.2027 – 24.07.2027", "Zimmer 101, DBL", "Gesamtbetrag, EUR 725,40",
                "Deutschland", "Überweisung, 10.07.2027 20,00", "Zu zahlen, EUR 675,40")),
        ("pt", ("Fatura FT-2027/13", "20/07/2027 – 24/07/2027", "Quarto 101, DBL", "Total, EUR 725,40", "Alemanha",
                "Transferência bancária, 10/07/2027 20,00", "A pagar, EUR 675,40")),
        ("de-CH", ("Rechnung FT-2027/13", "725.40", "Gesamtbetrag")),
        ("ja", ("Invoice FT-2027/13", "20 Jul 2027", "725.40")),
    ],
)  # fmt: skip
def test_a_document_is_in_its_language_with_its_formats(
    text_of: Callable[[Invoice], str], language: str, expected: tuple[str, ...]
) -> None:
    content = text_of(invoice_of(language=language))
    for text in expected:
        assert text in content, text


@both_forms
def test_a_credit_note_names_what_it_corrects_and_why(text_of: Callable[[Invoice], str]) -> None:
    content = text_of(credit_note_of())
    for expected in (
        "Credit note NC-2027/4", "Corrects invoice FT-2027/12", "Reason wrong rate",
        "Corrects line 3 of FT-2027/12: wrong rate", "−3 10.00 19 % −30.00 −5.70 −35.70", "Total, EUR −725.40",
        "In your favour, EUR 725.40",
    ):  # fmt: skip
        assert expected in content, expected
    assert "IBAN" not in content, "nothing is to be paid"


@both_forms
def test_a_deposit_invoice_and_its_settlement(text_of: Callable[[Invoice], str]) -> None:
    deposit = deposit_invoice_of()
    content = text_of(deposit)
    for expected in ("Deposit invoice", "Advance payment for the stay 1 100.00 7 %", "Simulated, 1 Jul 2027 107.00"):
        assert expected in content, expected
    settled = settlement_of(deposit, "FT-2027/9")
    assert "Advance payment of FT-2027/9 −1 100.00 7 % −100.00" in text_of(invoice_of((*lines_of(3), settled)))


@both_forms
def test_a_document_says_why_no_tax_is_due(text_of: Callable[[Invoice], str]) -> None:
    lines = untaxed(lines_of(2))
    categories = {("VAT", 0): (TaxCategory.REVERSE_CHARGE, "Article 44 of Directive 2006/112/EC")}
    content = text_of(invoice_of(lines, totals=totals_of(lines, categories), language="de"))
    reason = "Steuerschuldnerschaft des Leistungsempfängers"
    assert f"VAT · {reason} · Article 44 of Directive 2006/112/EC 0 %" in content


@both_forms
def test_a_document_without_what_is_optional_is_complete(text_of: Callable[[Invoice], str]) -> None:
    nobody = Party("Ana Souza")
    bare = invoice_of((), buyer=nobody, paid=0, payments=(), bank=None, note="", totals=())
    content = text_of(msgspec.structs.replace(bare, stay=msgspec.structs.replace(bare.stay, guest="", rooms=())))
    assert "Total, EUR 0.00" in content
    for missing in ("Guest", "Payments", "IBAN", "Due on"):
        assert missing not in content, missing


def test_a_language_has_all_words() -> None:
    for tag in LANGUAGES:
        words = language_of(tag).words
        assert set(words.titles) == set(DocumentKind)
        assert set(words.reasons) == set(ReversalReason)
        assert set(words.categories) == set(NOTHING_DUE)
        assert set(words.phrases) == set(language_of("en").words.phrases) >= set(_REASONS.values())
        assert "{page}" in words.page
        assert "{pages}" in words.page


def test_a_document_is_rendered_to_the_same_bytes_each_time() -> None:
    invoice = invoice_of()
    assert html_document(invoice) == html_document(invoice)
    assert pdf_document(invoice) == pdf_document(invoice)


def test_a_long_invoice_repeats_its_headings_on_each_page() -> None:
    pages = pages_of_pdf(invoice_of(lines_of(230)))
    assert len(pages) > 4
    for number, page in enumerate(pages, 1):
        assert f"Page {number} of {len(pages)}" in page
        assert page.count("Supplied on") == 1, "each page has lines, under one heading"
    found = re.findall(r"\d+ \w+ 20\d\d (?:Room 101|Breakfast)", " ".join(pages))
    assert len(found) == 230
    assert "To pay, EUR" in pages[-1]


def test_no_page_has_totals_without_lines() -> None:
    for number in (1, 2, *range(26, 38)):
        pages = pages_of_pdf(invoice_of(lines_of(number)))
        (with_totals,) = [page for page in pages if "Total, EUR" in page]
        below_the_heading = with_totals.partition("Supplied on")[2]
        assert re.search(r"20\d\d (?:Room 101|Breakfast)", below_the_heading), number
        assert with_totals.count("Supplied on") == 1


@pytest.mark.parametrize("number", [3, 200])
def test_text_stays_within_the_margins(number: int) -> None:
    long = "Averylongwordwithoutanyspace" * 7
    line = msgspec.structs.replace(lines_of(3)[2], text=long, amount=10**14 + 5_70, quantity=999)
    invoice = invoice_of((*lines_of(number), line), buyer=Party(long, (long,), email=long), currency="KWD")
    for page in PdfReader(BytesIO(pdf_document(invoice))).pages:
        starts = list[float]()

        def note(text: str, user: list[float], at: list[float], *_: object, starts: list[float] = starts) -> None:
            if text.strip():
                starts.append(user[0] * at[4] + user[4])

        page.extract_text(visitor_text=note)
        assert min(starts) >= 50
        assert max(starts) <= 545


def test_a_currency_is_shown_with_its_own_digits() -> None:
    for currency, expected in (("JPY", "1,234,567"), ("KWD", "1,234.567"), ("EUR", "12,345.67")):
        invoice = invoice_of(currency=currency, total=1_234_567)
        assert f"Total, {currency} {expected}" in text_of_html(invoice)
        assert f"Total, {currency} {expected}" in text_of_pdf(invoice)


def test_text_is_never_read_as_an_alias_or_as_markup() -> None:
    texts = (
        "{nb}",
        "#strong[x] $a$ *b* _c_ <d> @e \\f `g`",
        "{page} of {pages}",
        "<b>bold</b>",
        "// note",
        "- item",
    )
    invoice = invoice_of(buyer=Party("{nb}", texts))
    for text_of in (text_of_html, text_of_pdf):
        content = text_of(invoice)
        for text in texts:
            assert text in content, text


@pytest.mark.slow
@settings(max_examples=30, deadline=timedelta(seconds=20))
@given(data=st.data())
def test_no_name_breaks_a_document_or_becomes_markup(data: Any) -> None:
    names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200).filter(is_name)
    name, line = data.draw(names), data.draw(names)
    strange = invoice_of(lines_of(1), buyer=Party(name, (line,), line), reason=line, note=line)
    simple = invoice_of(lines_of(1), buyer=Party("a", ("a",), "a"), reason="a", note="a")
    assert PageParser(html_document(strange)).elements == PageParser(html_document(simple)).elements
    try:
        pdf = pdf_document(strange)
    except Refused as refused:
        if not isinstance(refused.refusal, FormatUnavailable):
            raise
    else:
        assert PdfReader(BytesIO(pdf)).pages


def is_name(text: str) -> bool:
    try:
        return msgspec.convert(text, Name) == text
    except msgspec.ValidationError:
        return False
