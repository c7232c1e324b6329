"""The whole text of a document of each kind, as a reader of its PDF finds it.

Where a document is meant to change, write the texts again and look at the difference, and at the pages:

    PYTHONPATH=tests .venv/bin/python tests/api/test_golden_documents.py
"""

from collections.abc import Callable
from io import BytesIO

import msgspec
import pytest
from innkeeper.http.documents.pdf import pdf_document
from innkeeper.protocol.billing.folio import Invoice
from innkeeper.protocol.values.taxes import TaxCategory
from pypdf import PdfReader
from support.paths import ROOT
from support.sample_documents import (
    credit_note_of,
    deposit_invoice_of,
    invoice_of,
    lines_of,
    settlement_of,
    totals_of,
    untaxed,
)

GOLDEN = ROOT / "tests" / "golden" / "documents"


def reverse_charge_invoice() -> Invoice:
    """An invoice to a company in another state, on which no tax is due."""
    lines = untaxed(lines_of(2))
    reason = "Article 44 of Directive 2006/112/EC"
    totals = totals_of(lines, {("VAT", 0): (TaxCategory.REVERSE_CHARGE, reason)})
    return invoice_of(lines, totals=totals, language="de", paid=0, payments=())


DOCUMENTS: dict[str, Callable[[], Invoice]] = {
    "invoice.en": invoice_of,
    "invoice.de": lambda: invoice_of(language="de"),
    "invoice.pt": lambda: invoice_of(language="pt"),
    "credit_note.en": credit_note_of,
    "credit_note.pt": lambda: credit_note_of(language="pt", paid=-100_00),
    "deposit_invoice.de": lambda: deposit_invoice_of(language="de"),
    "final_invoice.en": lambda: invoice_of((*lines_of(3), settlement_of(deposit_invoice_of(), "FT-2027/9"))),
    "reverse_charge.de": reverse_charge_invoice,
    "long_invoice.en": lambda: invoice_of(lines_of(60), replaces="FT-2027/12"),
    "yen.en": lambda: msgspec.structs.replace(invoice_of(lines_of(2)), currency="JPY"),
}


def text_of(invoice: Invoice) -> str:
    """The text of each page, without spaces at the ends of lines."""
    pages = PdfReader(BytesIO(pdf_document(invoice))).pages
    lines = (line.rstrip() for page in pages for line in page.extract_text().splitlines())
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_has_this_text(name: str) -> None:
    assert text_of(DOCUMENTS[name]()) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


if __name__ == "__main__":
    for each, make in DOCUMENTS.items():
        (GOLDEN / f"{each}.txt").write_text(text_of(make()), encoding="utf-8")
