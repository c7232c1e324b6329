"""Reads billing's whole journal and adds it up again, with nothing of the rules that wrote it (P8).

It believes no sum that the events say: what was charged and paid it counts by itself, and each line it writes down when
it is posted, to see that nobody says anything else of it later. It is slow and simple on purpose.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from innkeeper.protocol.billing import events
from innkeeper.protocol.billing.folio import FolioLine, LineKind
from innkeeper.protocol.messages.recorded_event import RecordedEvent

Key = tuple[str, int]
"""A folio: its booking, and its number there."""


@dataclass(slots=True)
class Books:
    """One hotel's books so far: what each folio was charged and has paid, and every line as it was posted."""

    hotel: str
    seq: int = 0
    folios: Counter[str] = field(default_factory=Counter)
    charges: Counter[Key] = field(default_factory=Counter)
    payments: Counter[Key] = field(default_factory=Counter)
    posted: dict[Key, list[FolioLine]] = field(default_factory=dict)
    lines: dict[int, tuple[Key, FolioLine]] = field(default_factory=dict)
    reversals: dict[int, int] = field(default_factory=dict)
    nights: Counter[tuple[str, date]] = field(default_factory=Counter)
    taxes: Counter[str] = field(default_factory=Counter)
    captured: Counter[str] = field(default_factory=Counter)
    on_document: dict[int, str] = field(default_factory=dict)
    documents: Counter[type] = field(default_factory=Counter)


class BillingAuditor:
    """Takes events one by one; `violations` says what is wrong, in words."""

    def __init__(self) -> None:
        self.hotels: dict[str, Books] = {}
        self.events = 0
        self.violations: list[str] = []
        self._moved: list[tuple[Books, FolioLine]] = []

    def handle(self, records: Iterable[RecordedEvent]) -> None:
        """The next events, in the journal's order, up to the end of what a command did."""
        for record in records:
            self._take_in(record)
        for books, back in self._moved:
            self._check_moved(books, back)
        self._moved.clear()

    def _take_in(self, record: RecordedEvent) -> None:
        self.events += 1
        books = self.hotels.setdefault(record.hotel, Books(record.hotel))
        self._expect(books, record.hotel_seq == books.seq + 1, f"event {record.hotel_seq} follows event {books.seq}")
        books.seq = record.hotel_seq
        event = record.event
        match event:
            case events.FolioOpened():
                books.folios[event.booking] += 1
                books.posted[event.booking, event.folio] = []
            case events.ChargePosted():
                self._charged(books, (event.booking, event.folio), event.line)
            case events.ChargeReversed():
                self._reversed(books, (event.booking, event.folio), event.line)
            case events.PaymentRecorded() | events.PaymentRefunded():
                self._paid(books, (event.booking, event.folio), event.line, event.payment)
            case events.InvoiceIssued() | events.CreditNoteIssued():
                self._issued(books, event)
            case events.BookingPaid():
                folios = [(event.booking, number) for number in range(1, books.folios[event.booking] + 1)]
                charged, paid = (sum(sums[folio] for folio in folios) for sums in (books.charges, books.payments))
                self._expect(books, charged == paid == event.amount, f"booking {event.booking} was not paid")

    def _expect(self, books: Books, so: bool, complaint: str) -> None:
        if not so:
            self.violations.append(f"{books.hotel}: {complaint} (P8)")

    def _post(self, books: Books, key: Key, line: FolioLine) -> None:
        self._expect(books, line.id not in books.lines, f"line {line.id} was posted twice")
        self._expect(
            books, (line.reversed_by, line.invoice) == (None, None), f"line {line.id} was marked before its time"
        )
        books.lines[line.id] = (key, line)
        books.posted.setdefault(key, []).append(line)

    def _charged(self, books: Books, key: Key, line: FolioLine) -> None:
        self._expect(books, line.kind is LineKind.CHARGE, f"line {line.id} is no charge")
        self._expect(books, line.amount >= line.tax, f"line {line.id} has more taxes than it amounts to")
        self._post(books, key, line)
        books.charges[key] += line.amount
        for tax in line.taxes:
            books.taxes[tax.code] += tax.amount
        if line.moved_from is not None:
            back = books.lines.get(books.reversals.get(line.moved_from.line, 0))
            left = back is not None and line.id in [place.line for place in back[1].moved_to]
            self._expect(books, left, f"line {line.id} came from where it never was")
        elif line.night is not None:
            books.nights[key[0], line.night] += 1
            once = books.nights[key[0], line.night] == 1
            self._expect(books, once, f"booking {key[0]} was charged twice for the night of {line.night}")

    def _reversed(self, books: Books, key: Key, line: FolioLine) -> None:
        where, was = books.lines.get(line.reverses or 0, (None, None))
        if line.kind is not LineKind.REVERSAL or was is None:
            self._expect(books, False, f"line {line.id} reverses nothing")
            return
        self._expect(books, was.id not in books.reversals, f"line {was.id} was reversed twice")
        same = (where, was.kind, was.charge, -was.amount, [(tax.code, -tax.amount) for tax in was.taxes])
        back = (key, LineKind.CHARGE, line.charge, line.amount, [(tax.code, tax.amount) for tax in line.taxes])
        self._expect(books, same == back, f"line {line.id} is not the opposite of line {was.id}")
        self._post(books, key, line)
        books.reversals[was.id] = line.id
        books.charges[key] += line.amount
        for tax in line.taxes:
            books.taxes[tax.code] += tax.amount
        if line.moved_to:
            self._moved.append((books, line))

    def _check_moved(self, books: Books, back: FolioLine) -> None:
        """What was moved or split arrived: no more and no less, to the last cent of every tax."""
        parts = [books.lines[place.line] for place in back.moved_to if place.line in books.lines]
        arrived = [key for key, _ in parts] == [(place.booking, place.folio) for place in back.moved_to]
        self._expect(books, arrived, f"line {back.reverses} did not arrive where it was moved")
        whole = [sum(part.amount for _, part in parts)]
        whole += [sum(part.taxes[number].amount for _, part in parts) for number in range(len(back.taxes))]
        self._expect(
            books, whole == [-back.amount, *(-tax.amount for tax in back.taxes)], f"line {back.reverses} lost a part"
        )

    def _paid(self, books: Books, key: Key, line: FolioLine, payment: str) -> None:
        known = line.kind in (LineKind.PAYMENT, LineKind.REFUND) and line.payment == payment
        self._expect(
            books, known and (line.amount < 0) == (line.kind is LineKind.PAYMENT), f"line {line.id} is no payment"
        )
        self._post(books, key, line)
        books.payments[key] -= line.amount
        books.captured[payment] -= line.amount
        self._expect(books, books.captured[payment] >= 0, f"more went back of payment {payment} than had come")

    def _issued(self, books: Books, event: events.InvoiceIssued | events.CreditNoteIssued) -> None:
        books.documents[type(event)] += 1
        number = re.search(r"[0-9]*$", event.number)
        gapless = number is not None and number[0] == str(books.documents[type(event)])
        self._expect(books, gapless, f"{event.number} is not the next number of its kind")
        for line in event.lines:
            where, posted = books.lines.get(line.id, (None, None))
            said = posted is not None and (posted.amount, posted.taxes) == (line.amount, line.taxes)
            self._expect(
                books, said and where == (event.booking, event.folio), f"{event.number} changes line {line.id}"
            )
            once = books.on_document.setdefault(line.id, event.number) == event.number
            self._expect(books, once, f"line {line.id} stands on {event.number} and on another document")
        taxes, total = sum(line.tax for line in event.lines), sum(line.amount for line in event.lines)
        sums = (event.total, event.net, sum(each.tax for each in event.totals))
        self._expect(
            books, bool(event.lines) and sums == (total, total - taxes, taxes), f"{event.number} does not add up"
        )
