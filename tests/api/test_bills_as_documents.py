"""The documents of the bills that were worked out by hand, in each format: all say the same total, and the electronic
ones break no rule of EN 16931."""

import tomllib
from io import BytesIO
from typing import Any

import msgspec
import pytest
from innkeeper.http.documents.electronic import business_terms
from innkeeper.http.documents.electronic_formats import cii_document, ubl_document
from innkeeper.http.documents.html import html_document
from innkeeper.http.documents.pdf import pdf_document
from innkeeper.http.documents.wording import language_of
from innkeeper.protocol.billing.folio import DocumentKind, Invoice
from innkeeper.protocol.billing.refusals import DocumentIncomplete
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.values.money import render
from pypdf import PdfReader
from support.bill_story import BillStory
from support.en16931_rules import broken_by_cii, broken_by_ubl
from support.paths import ROOT

TABLE = tomllib.loads((ROOT / "tests" / "rules" / "bills.toml").read_text(encoding="utf-8"))
BILLS: list[dict[str, Any]] = TABLE["bill"]
REFUSED = {
    "Dinars have three digits": "currency",
    "Dinars with a city tax": "currency",
    "A therapy is exempt, a sauna is not": "lines[0].taxes",
}


@pytest.mark.parametrize("bill", BILLS, ids=[bill["title"] for bill in BILLS])
def test_a_bill_says_the_same_total_in_each_format(bill: dict[str, Any]) -> None:
    story = BillStory(bill, TABLE["tax"])
    story.play()
    for document in story.documents:
        invoice = with_numbers(document)
        total = f"Total, {invoice.currency} {language_of('en').formats.money(invoice.total, invoice.currency)}"
        assert total in " ".join(PdfReader(BytesIO(pdf_document(invoice))).pages[0].extract_text().split())
        assert html_document(invoice)
        if bill["title"] in REFUSED:
            with pytest.raises(Refused) as caught:
                ubl_document(invoice)
            refusal = caught.value.refusal
            assert isinstance(refusal, DocumentIncomplete)
            assert [error.field for error in refusal.errors] == [REFUSED[bill["title"]]]
            continue
        sign = -1 if invoice.kind is DocumentKind.CREDIT_NOTE else 1
        assert business_terms(invoice)["BT-112"] == render(sign * invoice.total, invoice.currency)
        assert broken_by_ubl(ubl_document(invoice)) == []
        assert broken_by_cii(cii_document(invoice)) == []


def with_numbers(invoice: Invoice) -> Invoice:
    """The document with what EN 16931 demands of its parties."""
    seller = msgspec.structs.replace(invoice.seller, vat_id="PT500123456")
    buyer = msgspec.structs.replace(invoice.buyer, country="DE", vat_id="DE123456789")
    return msgspec.structs.replace(invoice, seller=seller, buyer=buyer)
