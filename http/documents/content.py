"""The content of an invoice or credit note as text in its language: what HTML and PDF share.

The same invoice has the same content each time, because nothing here depends on the current time or on current data.
"""

import msgspec
from innkeeper.http.documents.wording import Language, language_of
from innkeeper.protocol.billing.folio import (
    DocumentKind,
    DocumentLine,
    DocumentStay,
    Invoice,
    PaymentOnAccount,
    TaxTotal,
)
from innkeeper.protocol.billing.terms import Party
from innkeeper.protocol.values.money import unit_price

Rows = tuple[tuple[str, str], ...]
"""Labels and their values."""


class DocumentTable(msgspec.Struct, frozen=True):
    """Rows under headings. The first columns are text, the last `figures` ones are figures."""

    headings: tuple[str, ...]
    figures: int
    rows: tuple[tuple[str, ...], ...]


class DocumentContent(msgspec.Struct, frozen=True):
    """A document as text. Each line of `lines` is what `remarks` explains at the same place; `page` has the places
    {page} and {pages}. `balance` ends with what is to be paid."""

    language: str
    territory: str
    title: str
    seller: tuple[str, ...]
    buyer: tuple[str, ...]
    facts: Rows
    lines: DocumentTable
    remarks: tuple[str, ...]
    totals: Rows
    balance: Rows
    taxes: DocumentTable
    taxes_title: str
    payments: DocumentTable
    payments_title: str
    bank: Rows
    notes: tuple[str, ...]
    page: str


def content_of(invoice: Invoice) -> DocumentContent:
    """The content of the document for an invoice, in the available language nearest to the invoice's."""
    return _ContentWriter(invoice, language_of(invoice.language)).content()


class _ContentWriter:
    """Writes the content of one document."""

    def __init__(self, invoice: Invoice, language: Language) -> None:
        self._invoice = invoice
        self._words, self._labels, self._formats = language.words, language.words.labels, language.formats
        self._tag = language.tag

    def content(self) -> DocumentContent:
        """See `content_of`."""
        invoice, words, labels = self._invoice, self._words, self._labels
        return DocumentContent(
            language=self._tag,
            territory=self._formats.locale.territory or "",
            title=f"{words.titles[invoice.kind]} {invoice.number}",
            seller=self._party(invoice.seller),
            buyer=self._party(invoice.buyer),
            facts=self._facts(),
            lines=DocumentTable(
                (
                    labels.supplied_on, labels.description, labels.quantity, labels.unit_price, labels.rate, labels.net,
                    labels.tax, labels.gross,
                ),
                6,
                tuple(map(self._line, invoice.lines)),
            ),
            remarks=tuple(map(self._remark, invoice.lines)),
            totals=(
                (labels.net, self._money(invoice.net)),
                (labels.tax, self._money(invoice.tax)),
                (f"{labels.total}, {invoice.currency}", self._money(invoice.total)),
            ),
            balance=self._balance(),
            taxes=DocumentTable(
                (labels.tax, labels.rate, labels.net, labels.tax, labels.gross),
                4,
                tuple(map(self._tax, invoice.totals)),
            ),
            taxes_title=labels.taxes.format(currency=invoice.currency),
            payments=DocumentTable(
                (labels.payment, labels.paid), 1, tuple(map(self._payment, invoice.payments))
            ),
            payments_title=labels.payments,
            bank=self._bank(),
            notes=(*((invoice.note,) if invoice.note else ()), labels.amounts.format(currency=invoice.currency)),
            page=words.page,
        )  # fmt: skip

    def _money(self, units: int) -> str:
        return self._formats.money(units, self._invoice.currency)

    def _party(self, party: Party) -> tuple[str, ...]:
        words = self._words
        lines = (
            party.name,
            *party.address,
            f"{party.postal_code} {party.city}".strip(),
            self._formats.locale.territories.get(party.country, party.country) if party.country else "",
            words.vat_id.format(number=party.vat_id) if party.vat_id else "",
            words.tax_number.format(number=party.tax_number) if party.tax_number else "",
            party.email,
        )
        return tuple(line for line in lines if line)

    def _facts(self) -> Rows:
        invoice, labels = self._invoice, self._labels
        return tuple(
            (label, value)
            for label, value in (
                (labels.date, self._formats.date(invoice.business_date)),
                (labels.due_on, self._formats.date(invoice.due_on) if invoice.due > 0 else ""),
                (labels.credits, invoice.credits or ""),
                (labels.replaces, invoice.replaces or ""),
                (labels.reason, self._reason()),
                *self._stay(invoice.stay),
            )
            if value
        )

    def _reason(self) -> str:
        """Why it was issued: in the words of the staff, or in those of the program, which are translated."""
        parts = self._invoice.reason.split("; ")
        return "; ".join(self._words.phrases.get(part, part) for part in parts)

    def _stay(self, stay: DocumentStay) -> Rows:
        labels, date = self._labels, self._formats.date
        room = ", ".join((*stay.rooms, stay.room_type)) if stay.room_type else ", ".join(stay.rooms)
        dates = self._words.from_to.format(arrival=date(stay.arrival), departure=date(stay.departure))
        return (
            (labels.booking, stay.locator), (labels.guest, stay.guest), (labels.room, room), (labels.stay, dates),
        )  # fmt: skip

    def _line(self, line: DocumentLine) -> tuple[str, ...]:
        rates = " + ".join(self._formats.rate(tax.rate) for tax in line.taxes if tax.by_rate)
        return (
            self._formats.date(line.supplied_on),
            self._text(line),
            str(line.quantity).replace("-", "−"),
            self._formats.price(unit_price(line.net, line.quantity, self._invoice.currency)),
            rates,
            self._money(line.net),
            self._money(line.tax),
            self._money(line.amount),
        )

    def _text(self, line: DocumentLine) -> str:
        words = self._words
        if line.deposit_invoice is not None:
            return words.deposit_settled.format(invoice=line.deposit_invoice)
        if line.charge is None:
            return words.deposit
        if line.night is not None and line.text == "Room":
            phrase = words.night if line.room else words.night_without_room
            return phrase.format(room=line.room, type=self._invoice.stay.room_type).rstrip(", ")
        return words.phrases.get(line.text, line.text)

    def _remark(self, line: DocumentLine) -> str:
        words = self._words
        corrected = line.corrects
        parts = (
            words.corrects.format(line=corrected.position, invoice=corrected.invoice) if corrected else "",
            line.reason or (words.reasons[line.reason_code] if line.reason_code else ""),
        )
        if all(parts):
            return words.why.format(correction=parts[0], reason=parts[1])
        return parts[0] or parts[1]

    def _balance(self) -> Rows:
        invoice, labels = self._invoice, self._labels
        paid = labels.set_off if invoice.kind is DocumentKind.CREDIT_NOTE else labels.paid
        due = (labels.due, invoice.due) if invoice.due >= 0 else (labels.owed, -invoice.due)
        return (
            *(((paid, self._money(invoice.paid)),) if invoice.paid else ()),
            (f"{due[0]}, {invoice.currency}", self._money(due[1])),
        )

    def _tax(self, total: TaxTotal) -> tuple[str, ...]:
        by_rate = total.rate or total.category in self._words.categories
        name = total.name or total.code or self._words.without_tax
        reason = (self._words.categories.get(total.category, ""), total.exemption)
        texts = dict.fromkeys(text for text in (name, *reason) if text)
        return (
            " · ".join(texts),
            self._formats.rate(total.rate) if by_rate else "",
            self._money(total.net),
            self._money(total.tax),
            self._money(total.gross),
        )

    def _payment(self, payment: PaymentOnAccount) -> tuple[str, ...]:
        method = self._words.methods.get(payment.method, payment.method.replace("-", " ").capitalize())
        text = self._words.paid_by.format(method=method, date=self._formats.date(payment.paid_on))
        return (text, self._money(payment.amount))

    def _bank(self) -> Rows:
        invoice, labels = self._invoice, self._labels
        bank = invoice.bank
        if bank is None or invoice.due <= 0:
            return ()
        rows = (
            (labels.bank, bank.holder or invoice.seller.name),
            ("IBAN", bank.printed_iban),
            ("BIC", bank.bic),
            (labels.reference, invoice.number),
        )
        return tuple((label, value) for label, value in rows if value)
