"""Writes the business terms of EN 16931 as UBL 2.1 and as Factur-X. The libraries come with an extra; this module is
imported only when such a document is requested."""

from io import BytesIO

from facturx import generate_cii_xml, generate_ubl_xml
from innkeeper.http.documents.electronic import business_terms
from innkeeper.http.documents.pdf import pdf_document
from innkeeper.protocol.billing.folio import Invoice
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DecodedStreamObject, NameObject, StreamObject

_LEVEL = "en16931"
_NAMESPACE = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
_PROPERTIES = {
    "DocumentFileName": ("factur-x.xml", "The name of the embedded XML document"),
    "DocumentType": ("INVOICE", "The type of the hybrid document"),
    "Version": ("1.0", "The version of the standard of the embedded XML document"),
    "ConformanceLevel": ("EN 16931", "The conformance level of the embedded XML document"),
}
_SCHEMAS, _END = "<pdfaExtension:schemas><rdf:Bag>", "</rdf:RDF>"


def ubl_document(invoice: Invoice) -> bytes:
    """The document as UBL 2.1: an Invoice, or a CreditNote. Refuses one that lacks what EN 16931 demands."""
    xml: bytes = generate_ubl_xml(business_terms(invoice), level=_LEVEL, check_xsd=True, check_schematron=None)
    return xml


def cii_document(invoice: Invoice) -> bytes:
    """The document as UN/CEFACT Cross Industry Invoice. Refuses one that lacks what EN 16931 demands."""
    xml: bytes = generate_cii_xml(business_terms(invoice), level=_LEVEL, check_xsd=True, check_schematron=None)
    return xml


def facturx_document(invoice: Invoice) -> bytes:
    """The PDF with the Cross Industry Invoice in it (Factur-X, ZUGFeRD), of the profile EN 16931."""
    pdf = pdf_document(invoice, cii_document(invoice).decode())
    written = PdfWriter(BytesIO(pdf + b"\n"), incremental=True)  # what is added begins on a line of its own
    described = DecodedStreamObject()
    described.update({NameObject("/Type"): NameObject("/Metadata"), NameObject("/Subtype"): NameObject("/XML")})
    described.set_data(_described_metadata(pdf))
    written._replace_object(written.root_object.raw_get("/Metadata"), described)
    out = BytesIO()
    written.write(out)
    return out.getvalue()


def _described_metadata(pdf: bytes) -> bytes:
    """The metadata of the PDF (XMP), and in it what Factur-X demands: that it is one, and the schema that says so."""
    stream = PdfReader(BytesIO(pdf)).root_object["/Metadata"]
    assert isinstance(stream, StreamObject)
    metadata = stream.get_data().decode()
    if metadata.count(_SCHEMAS) != 1 or metadata.count(_END) != 1:
        raise ValueError("the metadata of the PDF has another form than Typst 0.15 gives it")
    described = metadata.replace(_SCHEMAS, _SCHEMAS + _schema()).replace(_END, _description() + _END)
    return described.encode()


def _schema() -> str:
    properties = "".join(
        f'<rdf:li rdf:parseType="Resource"><pdfaProperty:name>{name}</pdfaProperty:name>'
        "<pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category>"
        f"<pdfaProperty:description>{meaning}</pdfaProperty:description></rdf:li>"
        for name, (_, meaning) in _PROPERTIES.items()
    )
    return (
        '<rdf:li rdf:parseType="Resource"><pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>'
        f"<pdfaSchema:namespaceURI>{_NAMESPACE}</pdfaSchema:namespaceURI><pdfaSchema:prefix>fx</pdfaSchema:prefix>"
        f"<pdfaSchema:property><rdf:Seq>{properties}</rdf:Seq></pdfaSchema:property></rdf:li>"
    )


def _description() -> str:
    values = "".join(f"<fx:{name}>{value}</fx:{name}>" for name, (value, _) in _PROPERTIES.items())
    return f'<rdf:Description rdf:about="" xmlns:fx="{_NAMESPACE}">{values}</rdf:Description>'
