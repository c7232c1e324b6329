"""Electronic invoices by EN 16931: each is valid by its schema, and breaks no rule of the standard."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import msgspec
import pytest
from facturx import get_facturx_xml_from_pdf
from innkeeper.http.documents.electronic_formats import cii_document, facturx_document, ubl_document
from innkeeper.protocol.billing.folio import Invoice
from innkeeper.protocol.billing.refusals import DocumentIncomplete
from innkeeper.protocol.billing.terms import Party
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.values.taxes import TaxAmount, TaxCategory
from pypdf import PdfReader
from support.en16931_rules import broken_by_cii, broken_by_ubl
from support.sample_documents import (
    BUYER,
    SELLER,
    breakfast_line,
    credit_note_of,
    deposit_invoice_of,
    invoice_of,
    lines_of,
    night_line,
    settlement_of,
    totals_of,
    untaxed,
    vat,
)


def untaxed_invoice(category: TaxCategory, exemption: str = "", **more: Any) -> Invoice:
    """An invoice on which no value added tax is due."""
    lines = untaxed(lines_of(3))
    return invoice_of(lines, totals=totals_of(lines, {("VAT", 0): (category, exemption)}), paid=0, payments=(), **more)


def service_invoice(*, taxed: bool) -> Invoice:
    """An invoice with a service charge, on which value added tax is computed, or not."""
    line = breakfast_line(0, net=100_00, quantity=1)
    service = TaxAmount("SERVICE", 10_000, 10_00, base=100_00)
    tax = vat(110_00 if taxed else 100_00, 19)
    line = msgspec.structs.replace(line, taxes=(service, tax), amount=110_00 + tax.amount)
    return invoice_of((line,), paid=0, payments=())


DOCUMENTS: dict[str, Callable[[], Invoice]] = {
    "an invoice": invoice_of,
    "an invoice in German": lambda: invoice_of(language="de", buyer=Party("Ω & <Щукин> 王", country="JP")),
    "an invoice of 200 lines": lambda: invoice_of(lines_of(200)),
    "a credit note": credit_note_of,
    "a credit note that is set off": lambda: credit_note_of(paid=-100_00),
    "a deposit invoice": deposit_invoice_of,
    "an invoice that settles a deposit": lambda: invoice_of(
        (*lines_of(4), settlement_of(deposit_invoice_of(), "FT-2027/9"))
    ),
    "an invoice instead of another": lambda: invoice_of(replaces="FT-2027/12"),
    "an invoice that is paid": lambda: invoice_of(paid=725_40, bank=None, note=""),
    "an exempt one": lambda: untaxed_invoice(TaxCategory.EXEMPT, "Article 135 of Directive 2006/112/EC"),
    "a zero-rated one": lambda: untaxed_invoice(TaxCategory.ZERO_RATED),
    "one with reverse charge": lambda: untaxed_invoice(TaxCategory.REVERSE_CHARGE, "Reverse charge"),
    "one without taxes": lambda: invoice_of(
        tuple(msgspec.structs.replace(line, taxes=()) for line in lines_of(2)), totals=(), paid=0, payments=()
    ),
    "one with a taxed service charge": lambda: service_invoice(taxed=True),
    "one with an untaxed service charge": lambda: service_invoice(taxed=False),
    "one in yen": lambda: invoice_of((night_line(0, net=10_000, city_tax=200), breakfast_line(1, net=3_000)),
                                     currency="JPY"),
    "one of a seller with a tax number only": lambda: invoice_of(
        seller=msgspec.structs.replace(SELLER, vat_id="", tax_number="181/815/08155")
    ),
    "one with a long address": lambda: invoice_of(
        buyer=msgspec.structs.replace(BUYER, address=("Floor 3", "House 4", "Street 5", "Quarter 6", "District 7"))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_as_ubl_is_valid(name: str) -> None:
    assert broken_by_ubl(ubl_document(DOCUMENTS[name]())) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_as_cross_industry_invoice_is_valid(name: str) -> None:
    assert broken_by_cii(cii_document(DOCUMENTS[name]())) == []


def test_the_rules_find_what_is_wrong() -> None:
    xml = ubl_document(invoice_of()).replace(b"675.40", b"675.41")
    assert any("BR-CO-16" in each for each in broken_by_ubl(xml))


def test_an_electronic_invoice_has_the_amounts_of_the_document() -> None:
    for write in (ubl_document, cii_document):
        text = write(invoice_of()).decode()
        for amount in ("725.40", "50.00", "675.40", "600.00", "42.00", "60.00", "11.40", "12.00"):
            assert f">{amount}<" in text, amount
    credited = ubl_document(credit_note_of()).decode()
    assert "<cbc:CreditNoteTypeCode>381<" in credited
    assert ">725.40<" in credited
    assert "-725.40" not in credited


def test_a_factur_x_pdf_is_the_pdf_with_the_invoice_in_it() -> None:
    invoice = invoice_of(language="de")
    pdf = facturx_document(invoice)
    name, xml = get_facturx_xml_from_pdf(pdf)
    assert (name, xml) == ("factur-x.xml", cii_document(invoice))
    assert facturx_document(invoice) == pdf, "the same bytes each time"
    reader = PdfReader(BytesIO(pdf))
    assert "Rechnung FT-2027/13" in reader.pages[0].extract_text()
    metadata = reader.trailer["/Root"]["/Metadata"].get_data().decode()
    for expected in (
        "<pdfaid:part>3<",
        "<pdfaid:conformance>B<",
        ">EN 16931</fx:ConformanceLevel>",
        ">factur-x.xml</fx:DocumentFileName>",
        ">urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#</pdfaSchema:namespaceURI>",
        ">Typst ",
    ):
        assert expected in metadata, expected


@pytest.mark.parametrize(
    ("more", "fields"),
    [
        ({"buyer": Party("Ana Souza")}, ["buyer.country"]),
        ({"seller": Party("Hotel"), "buyer": Party("Ana")}, ["seller.country", "seller.vat_id", "buyer.country"]),
        ({"currency": "KWD"}, ["currency"]),
        ({"lines": (msgspec.structs.replace(night_line(0), taxes=(vat(100_00, 7), vat(100_00, 19))),)},
         ["lines[0].taxes"]),
    ],
)  # fmt: skip
def test_a_document_without_what_the_standard_demands_is_refused_with_what_is_missing(
    more: dict[str, Any], fields: list[str]
) -> None:
    for write in (ubl_document, cii_document, facturx_document):
        assert incomplete(write, invoice_of(**more)) == fields


def test_reverse_charge_demands_the_number_of_the_buyer() -> None:
    invoice = untaxed_invoice(TaxCategory.REVERSE_CHARGE, "Reverse charge", buyer=Party("Ana", country="PT"))
    assert incomplete(ubl_document, invoice) == ["buyer.vat_id"]


def test_taxes_of_lines_that_differ_from_the_rate_of_their_sum_are_refused() -> None:
    lines = tuple(night_line(number, net=7, city_tax=0) for number in range(250))
    lines = tuple(
        msgspec.structs.replace(line, taxes=(TaxAmount("VAT", 7_000, 1, base=7),), amount=8) for line in lines
    )
    assert incomplete(ubl_document, invoice_of(lines)) == ["totals"]


def incomplete(write: Callable[[Invoice], bytes], invoice: Invoice) -> list[str]:
    with pytest.raises(Refused) as caught:
        write(invoice)
    refusal = caught.value.refusal
    assert isinstance(refusal, DocumentIncomplete)
    return [error.field for error in refusal.errors]
