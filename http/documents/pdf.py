"""Documents as PDF/A-3 with A4 pages, set by Typst. This module is imported only when a PDF is requested, because most
processes never need one."""

from functools import cache
from pathlib import Path
from threading import Lock

import msgspec
import typst
from innkeeper.http.documents.content import DocumentContent, content_of
from innkeeper.http.documents.fonts import check_characters, font_families, installed_fonts
from innkeeper.protocol.billing.folio import Invoice
from innkeeper.protocol.values.instants import instant

_compiling = Lock()
_LAYOUT = Path(__file__).parent / "papers" / "invoice.typ"


def pdf_document(invoice: Invoice, xml: str | None = None) -> bytes:
    """The document as a PDF, with this XML as an attachment. Refuses one with a character that no installed font shows.
    Threads do it one after the other; those that do something else run meanwhile, as Typst does not hold the
    interpreter's lock."""
    content = content_of(invoice)
    text = _text_of(content)
    check_characters(text)
    issued = instant(invoice.issued_at).replace(microsecond=0)
    inputs = {
        "content": msgspec.json.encode(content).decode(),
        "fonts": msgspec.json.encode(font_families(text, invoice.buyer.country)).decode(),
        "issued": msgspec.json.encode(issued.timetuple()[:6]).decode(),
    }
    if xml is not None:
        inputs["xml"] = xml
    with _compiling:
        pdf = _compiler().compile(format="pdf", sys_inputs=inputs, pdf_standards="a-3b", timestamp=issued)
    assert isinstance(pdf, bytes)
    return pdf


@cache
def _compiler() -> typst.Compiler:
    fonts = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[str(folder) for folder in installed_fonts().folders],
    )
    return typst.Compiler(str(_LAYOUT), root=str(_LAYOUT.parent), font_paths=fonts, ignore_system_fonts=True)


def _text_of(content: DocumentContent) -> str:
    """All text of a document."""
    found = list[str]()
    waiting: list[object] = [msgspec.to_builtins(content)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
    return "\n".join(found)
