"""A naive auditor of a ledger: it adds up the events by itself, and believes nothing that the rules say."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from innkeeper.protocol import billing_events as events
from innkeeper.protocol.folio import Bill, FolioLine, LineKind
from innkeeper.protocol.record import Recorded

Key = tuple[str, int]


class Recount:
    """What the events of a ledger come to, when they are looked at one after the other."""

    def __init__(self) -> None:
        self.charges: Counter[Key] = Counter()
        self.payments: Counter[Key] = Counter()
        self.said: dict[Key, list[FolioLine]] = {}
        self.lines: dict[int, tuple[Key, FolioLine]] = {}
        self.reversals: dict[int, int] = {}
        self.nights: Counter[tuple[str, date]] = Counter()
        self.taxes: Counter[str] = Counter()
        self.captured: Counter[str] = Counter()
        self.refunded: Counter[str] = Counter()
        self.on_document: dict[int, str] = {}
        self.numbers: dict[type, list[str]] = {events.InvoiceIssued: [], events.CreditNoteIssued: []}
        self.seq = 0

    def read(self, records: Sequence[Recorded]) -> None:
        """Go on with what has happened since."""
        for record in records:
            self.seq += 1
            assert record.hotel_seq == self.seq
            event = record.event
            match event:
                case events.FolioOpened():
                    self.said[event.booking, event.folio] = []
                case events.ChargePosted():
                    self._charged((event.booking, event.folio), event.line)
                case events.ChargeReversed():
                    self._reversed((event.booking, event.folio), event.line)
                case events.PaymentRecorded():
                    assert event.line.amount < 0
                    self._paid((event.booking, event.folio), event.line)
                    self.captured[event.payment] -= event.line.amount
                case events.PaymentRefunded():
                    assert event.line.amount > 0
                    self._paid((event.booking, event.folio), event.line)
                    self.refunded[event.payment] += event.line.amount
                    assert self.refunded[event.payment] <= self.captured[event.payment]
                case events.InvoiceIssued() | events.CreditNoteIssued():
                    self._issued(event)

    def _post(self, key: Key, line: FolioLine) -> None:
        assert line.id not in self.lines, "a line was posted twice"
        assert (line.reversed_by, line.invoice) == (None, None)
        self.lines[line.id] = (key, line)
        self.said[key].append(line)

    def _charged(self, key: Key, line: FolioLine) -> None:
        assert line.kind is LineKind.CHARGE
        assert line.amount >= sum(tax.amount for tax in line.taxes)
        self._post(key, line)
        self.charges[key] += line.amount
        for tax in line.taxes:
            self.taxes[tax.code] += tax.amount
        if line.moved_from is not None:
            was = self.lines[self.reversals[line.moved_from.line]][1]
            assert line.id in [place.line for place in was.moved_to]
        elif line.night is not None:
            self.nights[key[0], line.night] += 1

    def _reversed(self, key: Key, line: FolioLine) -> None:
        assert line.kind is LineKind.REVERSAL
        assert line.reverses is not None
        assert line.reverses not in self.reversals, "a line was reversed twice"
        where, was = self.lines[line.reverses]
        assert (where, was.kind, was.charge) == (key, LineKind.CHARGE, line.charge)
        assert line.amount == -was.amount
        assert [tax.amount for tax in line.taxes] == [-tax.amount for tax in was.taxes]
        self._post(key, line)
        self.reversals[line.reverses] = line.id
        self.charges[key] += line.amount
        for tax in line.taxes:
            self.taxes[tax.code] += tax.amount

    def _paid(self, key: Key, line: FolioLine) -> None:
        self._post(key, line)
        self.payments[key] -= line.amount

    def _issued(self, event: events.InvoiceIssued | events.CreditNoteIssued) -> None:
        numbers = self.numbers[type(event)]
        numbers.append(event.number)
        prefix = "INV-" if isinstance(event, events.InvoiceIssued) else "CN-"
        assert numbers == [f"{prefix}{number + 1}" for number in range(len(numbers))], "a number is missing"
        assert event.lines
        for line in event.lines:
            assert line.id not in self.on_document, "a line stands on two documents"
            self.on_document[line.id] = event.number
            where, said = self.lines[line.id]
            assert (where, said.amount, said.taxes) == ((event.booking, event.folio), line.amount, line.taxes)
        assert event.total == sum(self.lines[line.id][1].amount for line in event.lines)
        taxes = sum(tax.amount for line in event.lines for tax in self.lines[line.id][1].taxes)
        assert (event.net, sum(total.tax for total in event.totals)) == (event.total - taxes, taxes)

    def check_posted(self) -> None:
        """What was moved or split arrived: no more and no less, to the last cent of every tax."""
        for back in self.reversals.values():
            line = self.lines[back][1]
            if line.moved_to:
                parts = [self.lines[place.line] for place in line.moved_to]
                assert [part[0] for part in parts] == [(place.booking, place.folio) for place in line.moved_to]
                assert sum(part.amount for _, part in parts) == -line.amount, "a cent was lost"
                for number, tax in enumerate(line.taxes):
                    assert sum(part.taxes[number].amount for _, part in parts) == -tax.amount, "a cent was lost"
        assert all(count == 1 for count in self.nights.values()), "a night was posted twice"

    def check_bill(self, bill: Bill) -> None:
        """P8: the balance is charges less payments, and no line says anything else than when it was posted."""
        for folio in bill.folios:
            key = (bill.booking, folio.number)
            assert folio.charged == self.charges[key]
            assert folio.balance == self.charges[key] - self.payments[key], "the balance is wrong"
            assert [_unmarked(line) for line in folio.lines] == self.said[key], "a line was edited"
            for line in folio.lines:
                assert line.reversed_by == self.reversals.get(line.id)
                assert line.invoice == self.on_document.get(line.id)


def _unmarked(line: FolioLine) -> FolioLine:
    fields = {name: getattr(line, name) for name in FolioLine.__struct_fields__}
    return FolioLine(**fields | {"reversed_by": None, "invoice": None})
