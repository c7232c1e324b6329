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
from innkeeper.protocol.billing.folio import DocumentKind, DocumentLine, Invoice, TaxTotal
from innkeeper.protocol.billing.terms import Party
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.money import render, unit_price
from innkeeper.protocol.values.percentage import render_percent
from innkeeper.protocol.values.taxes import NOTHING_DUE

_PAPERS = Path(__file__).parent / "papers"
_STYLE = (_PAPERS / "paper.css").read_text()
HTML_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""The headers of the HTML: it may load nothing but its own style."""

_TITLES = {
    DocumentKind.INVOICE: "Invoice",
    DocumentKind.DEPOSIT_INVOICE: "Deposit invoice",
    DocumentKind.CREDIT_NOTE: "Credit note",
}


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
        ("Booking", f"{invoice.stay.locator}, folio {invoice.folio}"),
        ("Guest", invoice.stay.guest),
        ("Stay", f"{_day(invoice.stay.arrival)} to {_day(invoice.stay.departure)}"),
        ("Room", " ".join((invoice.stay.room_type, *invoice.stay.rooms))),
        ("Paid", f"{money(invoice.paid)} {invoice.currency}"),
        ("Due", f"{money(invoice.due)} {invoice.currency}, {_day(invoice.due_on)}"),
        ("Credits invoice", invoice.credits or ""),
        ("Instead of invoice", invoice.replaces or ""),
        ("To be paid to", "" if invoice.bank is None else " ".join((invoice.bank.iban, invoice.bank.bic)).strip()),
    ]
    return InvoicePaper(
        title=f"{_TITLES[invoice.kind]} {invoice.number}",
        seller=_party(invoice.seller),
        buyer=_party(invoice.buyer),
        facts=[(label, text) for label, text in facts if text],
        remarks=_remarks(invoice, money),
        lines=InvoiceTable(
            ("Date", "For", "Quantity", "Unit price, net", "Tax", f"Amount, {invoice.currency}"),
            (15, 40, 10, 14, 11, 17),
            [_line(line, money, invoice.currency) for line in invoice.lines],
            (f"Total, {invoice.currency}", money(invoice.total)),
        ),
        taxes=InvoiceTable(
            ("Tax", "Name", "Rate", "Net", "Tax", f"Gross, {invoice.currency}"),
            (15, 40, 10, 14, 11, 17),
            [_total(total, money) for total in invoice.totals],
        ),
    )


def _remarks(invoice: Invoice, money: Callable[[int], str]) -> list[str]:
    paid = [f"Paid on {_day(one.paid_on)} by {one.method}: {money(one.amount)}" for one in invoice.payments]
    exempt = [total.exemption for total in invoice.totals if total.exemption]
    return [text for text in (invoice.reason, *exempt, *paid, invoice.note) if text]


def _line(line: DocumentLine, money: Callable[[int], str], currency: str) -> tuple[str, ...]:
    text = " ".join((line.text or (line.charge.value.capitalize() if line.charge else ""), line.room)).strip()
    if line.corrects is not None:
        text += f" (invoice {line.corrects.invoice}, line {line.corrects.position})"
    rates = [f"{render_percent(tax.rate)} %" for tax in line.taxes if tax.by_rate]
    unit = _grouped(unit_price(line.net, line.quantity, currency))
    tax = " ".join((*rates, money(line.tax)))
    return (line.supplied_on.isoformat(), text, str(line.quantity), unit, tax, money(line.amount))


def _total(total: TaxTotal, money: Callable[[int], str]) -> tuple[str, ...]:
    rate = f"{render_percent(total.rate)} %" if total.rate or total.category in NOTHING_DUE else ""
    name = total.name or ("" if total.code else "Without tax")
    return (total.code, name, rate, money(total.net), money(total.tax), money(total.gross))


def _party(party: Party) -> list[str]:
    place = " ".join((party.postal_code, party.city)).strip()
    numbers = (("Tax number", party.tax_number), ("VAT identification number", party.vat_id))
    shown = [f"{label} {number}" for label, number in numbers if number]
    return [line for line in (party.name, *party.address, place, party.country, *shown, party.email) if line]


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _grouped(amount: str) -> str:
    whole, point, fraction = amount.lstrip("-").partition(".")
    return f"{'−' if amount.startswith('-') else ''}{int(whole):,}{point}{fraction}"
