"""An invoice or credit note as a PDF, drawn with fpdf2. This module is imported only when a PDF is requested, because
fpdf2 takes as long to load as aiohttp, and most processes never need it."""

from collections.abc import Iterable

import font_source_sans_pro
from fpdf import FPDF, FontFace, XPos, YPos
from fpdf.enums import TableBordersLayout
from innkeeper.http.documents.invoices import InvoicePaper, InvoiceTable, paper_of
from innkeeper.protocol.billing.folio import Invoice
from innkeeper.protocol.values.instants import instant

_TEXT_COLOUR, _LABEL_COLOUR, _LINE_COLOUR = (27, 35, 48), (93, 104, 121), (228, 232, 238)
_LINE_MM = 5.2


def pdf_document(invoice: Invoice) -> bytes:
    """The document as a PDF with A4 pages."""
    return _Document(paper_of(invoice), invoice.issued_at).render()


class _Document(FPDF):
    """Lays out a document on A4 pages. `issued_at` is in microseconds since 1970 UTC."""

    def __init__(self, paper: InvoicePaper, issued_at: int) -> None:
        super().__init__(format="A4")
        self._paper = paper
        self.set_margin(18)
        self.set_auto_page_break(True, margin=22)
        self.set_title(paper.title)
        self.set_author(paper.seller[0])
        self.set_lang("en")
        self.set_producer("Innkeeper")
        self.set_creation_date(instant(issued_at))
        for style, face in (("", "SourceSansPro"), ("B", "SourceSansProSemibold")):
            self.add_font("paper", style, font_source_sans_pro.font_files_ttf[face])

    def footer(self) -> None:
        """Writes the title and the page number at the foot of each page."""
        self.set_y(-15)
        self._set_text_style("", 9, _LABEL_COLOUR)
        self.cell(0, _LINE_MM, self._paper.title)
        self.cell(0, _LINE_MM, f"Page {self.page_no()} of {{nb}}", align="R", new_x=XPos.RIGHT)

    def render(self) -> bytes:
        """Draws the whole document, and returns the bytes of the PDF."""
        self.add_page()
        top = self.get_y()
        self._lines(self._paper.seller, self.epw / 2)
        below = self.get_y()
        self.set_xy(self.l_margin + self.epw / 2, top)
        self._set_text_style("B", 17)
        self.multi_cell(0, 8, self._paper.title, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self._facts()
        self.set_y(max(below, self.get_y()) + 12)
        self._lines(self._paper.buyer, self.epw * 0.7)
        self.ln(10)
        self._set_text_style("", 10.5)
        for remark in self._paper.remarks:
            self.multi_cell(0, _LINE_MM, remark, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            self.ln(4)
        self._table(self._paper.lines)
        self.ln(10)
        self._table(self._paper.taxes)
        return bytes(self.output())

    def _set_text_style(self, style: str, points: float, colour: tuple[int, int, int] = _TEXT_COLOUR) -> None:
        self.set_font("paper", style, points)
        self.set_text_color(*colour)

    def _lines(self, lines: Iterable[str], width: float) -> None:
        for number, line in enumerate(lines):
            self._set_text_style("" if number else "B", 10.5)
            self.multi_cell(width, _LINE_MM, line, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _facts(self) -> None:
        for label, value in self._paper.facts:
            self.set_x(self.l_margin + self.epw * 0.5)
            self._set_text_style("", 10, _LABEL_COLOUR)
            self.cell(self.epw * 0.18, _LINE_MM, label)
            self._set_text_style("", 10)
            self.multi_cell(0, _LINE_MM, value, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _table(self, table: InvoiceTable) -> None:
        self._set_text_style("", 10)
        self.set_draw_color(*_LINE_COLOUR)
        with self.table(
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            col_widths=table.widths,
            headings_style=FontFace(color=_LABEL_COLOUR),
            line_height=_LINE_MM,
            padding=(0.9, 0.6),
            text_align=("LEFT", "LEFT", "RIGHT", "RIGHT", "RIGHT", "RIGHT"),
        ) as grid:
            for row in (table.headings, *table.rows):
                grid.row(row)
        if table.foot is not None:
            self.ln(2)
            self._set_text_style("B", 12.5)
            self.cell(self.epw, 8, f"{table.foot[0]}   {table.foot[1]}", align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
