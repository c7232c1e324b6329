"""Invoices and credit notes as people read them: a page for the browser, and a PDF. Both show the same paper.

The same document is the same bytes each time, as it was issued: nothing here asks for the time or for what is so today.
"""

import base64
import hashlib
from collections.abc import Callable, Iterable
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

import font_source_sans_pro
import jinja2
from fpdf import FPDF, FontFace, XPos, YPos
from fpdf.enums import TableBordersLayout
from innkeeper.http.billing_resources import percent
from innkeeper.protocol.billing_terms import Party
from innkeeper.protocol.folio import DocumentKind, FolioLine, Invoice, TaxTotal
from innkeeper.protocol.instants import instant
from innkeeper.protocol.money import render

_PAPERS = Path(__file__).parent / "papers"
_STYLE = (_PAPERS / "paper.css").read_text()
HTML_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""What a page of this kind is served with: it may show itself and nothing else."""

_TITLES = {DocumentKind.INVOICE: "Invoice", DocumentKind.CREDIT_NOTE: "Credit note"}
_INK, _FAINT, _RULE = (27, 35, 48), (93, 104, 121), (228, 232, 238)
_LINE_MM = 5.2


class Table(NamedTuple):
    """Rows under headings; the foot has a label and the sum. `widths` are parts of the width."""

    headings: tuple[str, ...]
    widths: tuple[int, ...]
    rows: list[tuple[str, ...]]
    foot: tuple[str, str] | None = None


class Paper(NamedTuple):
    """A document in words, as it is laid out."""

    title: str
    seller: list[str]
    buyer: list[str]
    facts: list[tuple[str, str]]
    remarks: list[str]
    lines: Table
    taxes: Table


def html_document(invoice: Invoice) -> str:
    """The document as a page that stands alone; to be served with `HTML_HEADERS`."""
    return _template().render(paper=_paper(invoice), style=_STYLE)


def pdf_document(invoice: Invoice) -> bytes:
    """The document as a PDF of as many A4 pages as it takes."""
    return _Sheets(_paper(invoice), invoice).whole()


@cache
def _template() -> jinja2.Template:
    house = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAPERS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return house.get_template("invoice.html")


def _paper(invoice: Invoice) -> Paper:
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
    return Paper(
        title=f"{_TITLES[invoice.kind]} {invoice.number}",
        seller=_party(invoice.seller),
        buyer=_party(invoice.buyer),
        facts=facts,
        remarks=[invoice.reason] if invoice.reason else [],
        lines=Table(
            ("Date", "For", "Number", "Net", "Tax", f"Amount, {invoice.currency}"),
            (15, 40, 10, 14, 11, 17),
            [_line(line, money) for line in invoice.lines],
            (f"Total, {invoice.currency}", money(invoice.total)),
        ),
        taxes=Table(
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
    rate = f"{percent(total.rate)} %" if total.rate else ""
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


class _Sheets(FPDF):
    """The paper on sheets of A4."""

    def __init__(self, paper: Paper, invoice: Invoice) -> None:
        super().__init__(format="A4")
        self._paper = paper
        self.set_margin(18)
        self.set_auto_page_break(True, margin=22)
        self.set_title(paper.title)
        self.set_author(paper.seller[0])
        self.set_lang("en")
        self.set_producer("Innkeeper")
        self.set_creation_date(instant(invoice.issued_at))
        for style, face in (("", "SourceSansPro"), ("B", "SourceSansProSemibold")):
            self.add_font("paper", style, font_source_sans_pro.font_files_ttf[face])

    def footer(self) -> None:
        """Which page of how many, on each."""
        self.set_y(-15)
        self._ink("", 9, _FAINT)
        self.cell(0, _LINE_MM, self._paper.title)
        self.cell(0, _LINE_MM, f"Page {self.page_no()} of {{nb}}", align="R", new_x=XPos.RIGHT)

    def whole(self) -> bytes:
        """All of it."""
        self.add_page()
        top = self.get_y()
        self._lines(self._paper.seller, self.epw / 2)
        below = self.get_y()
        self.set_xy(self.l_margin + self.epw / 2, top)
        self._ink("B", 17)
        self.multi_cell(0, 8, self._paper.title, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self._facts()
        self.set_y(max(below, self.get_y()) + 12)
        self._lines(self._paper.buyer, self.epw * 0.7)
        self.ln(10)
        self._ink("", 10.5)
        for remark in self._paper.remarks:
            self.multi_cell(0, _LINE_MM, remark, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            self.ln(4)
        self._table(self._paper.lines)
        self.ln(10)
        self._table(self._paper.taxes)
        return bytes(self.output())

    def _ink(self, style: str, points: float, colour: tuple[int, int, int] = _INK) -> None:
        self.set_font("paper", style, points)
        self.set_text_color(*colour)

    def _lines(self, lines: Iterable[str], width: float) -> None:
        for number, line in enumerate(lines):
            self._ink("" if number else "B", 10.5)
            self.multi_cell(width, _LINE_MM, line, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _facts(self) -> None:
        for label, value in self._paper.facts:
            self.set_x(self.l_margin + self.epw * 0.5)
            self._ink("", 10, _FAINT)
            self.cell(self.epw * 0.18, _LINE_MM, label)
            self._ink("", 10)
            self.multi_cell(0, _LINE_MM, value, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _table(self, table: Table) -> None:
        self._ink("", 10)
        self.set_draw_color(*_RULE)
        with self.table(
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            col_widths=table.widths,
            headings_style=FontFace(color=_FAINT),
            line_height=_LINE_MM,
            padding=(0.9, 0.6),
            text_align=("LEFT", "LEFT", "RIGHT", "RIGHT", "RIGHT", "RIGHT"),
        ) as grid:
            for row in (table.headings, *table.rows):
                grid.row(row)
        if table.foot is not None:
            self.ln(2)
            self._ink("B", 12.5)
            self.cell(self.epw, 8, f"{table.foot[0]}   {table.foot[1]}", align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
