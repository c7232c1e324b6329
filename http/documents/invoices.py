"""Invoices and credit notes as documents: the content that HTML and PDF share, and the HTML.

The same invoice gives the same bytes each time, because nothing here depends on the current time or on current data.
"""

import base64
import hashlib
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jinja2
from innkeeper.protocol.billing.folio import DocumentKind, FolioLine, Invoice, TaxTotal
from innkeeper.protocol.billing.terms import Party
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.money import render
from innkeeper.protocol.values.percentage import render_percent

_PAPERS = Path(__file__).parent / "papers"
_STYLE = (_PAPERS / "paper.css").read_text()
HTML_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""The headers of the HTML: it may load nothing but its own style."""

_TITLES = {DocumentKind.INVOICE: "Invoice", DocumentKind.CREDIT_NOTE: "Credit note"}


class InvoiceTable(NamedTuple):
    """Rows under headings; the foot has a label and the sum. `widths` are relative."""

    headings: tuple[str, ...]
    widths: tuple[int, ...]
    rows: list[tuple[str, ...]]
    foot: tuple[str, str] | None = None


class InvoicePaper(NamedTuple):
    """The content of a document as text."""

    title: str
    seller: list[str]
    buyer: list[str]
    facts: list[tuple[str, str]]
    remarks: list[str]
    lines: InvoiceTable
    taxes: InvoiceTable


def html_document(invoice: Invoice) -> str:
    """The document as a self-contained HTML page; to be served with `HTML_HEADERS`."""
    return _template().render(paper=paper_of(invoice), style=_STYLE)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAPERS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template("invoice.html")


def paper_of(invoice: Invoice) -> InvoicePaper:
    """The content of the document for an invoice."""

    def money(units: int) -> str:
        return _grouped(render(units, invoice.currency))

    facts = [
        ("Date", _day(invoice.business_date)),
        ("Issued at", f"{instant(invoice.issued_at):%Y-%m-%d %H:%M} UTC"),
        ("Booking", invoice.booking),
        ("Folio", str(invoice.folio)),
    ]
    if invoice.credits:
        facts.append(("Credits invoice", invoice.credits))
    return InvoicePaper(
        title=f"{_TITLES[invoice.kind]} {invoice.number}",
        seller=_party(invoice.seller),
        buyer=_party(invoice.buyer),
        facts=facts,
        remarks=[invoice.reason] if invoice.reason else [],
        lines=InvoiceTable(
            ("Date", "For", "Quantity", "Net", "Tax", f"Amount, {invoice.currency}"),
            (15, 40, 10, 14, 11, 17),
            [_line(line, money) for line in invoice.lines],
            (f"Total, {invoice.currency}", money(invoice.total)),
        ),
        taxes=InvoiceTable(
            ("Tax", "Name", "Rate", "Net", "Tax", f"Gross, {invoice.currency}"),
            (15, 40, 10, 14, 11, 17),
            [_total(total, money) for total in invoice.totals],
        ),
    )


def _line(line: FolioLine, money: Callable[[int], str]) -> tuple[str, ...]:
    text = line.text or (line.charge.value.replace("_", " ").capitalize() if line.charge else "")
    day = line.night or line.business_date
    return (day.isoformat(), text, str(line.quantity), money(line.net), money(line.tax), money(line.amount))


def _total(total: TaxTotal, money: Callable[[int], str]) -> tuple[str, ...]:
    rate = f"{render_percent(total.rate)} %" if total.rate else ""
    name = total.name or ("" if total.code else "Without tax")
    return (total.code, name, rate, money(total.net), money(total.tax), money(total.gross))


def _party(party: Party) -> list[str]:
    tax_number = [f"Tax number {party.tax_number}"] if party.tax_number else []
    return [party.name, *party.address, *tax_number]


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _grouped(amount: str) -> str:
    whole, point, fraction = amount.lstrip("-").partition(".")
    return f"{'−' if amount.startswith('-') else ''}{int(whole):,}{point}{fraction}"
