"""What the auditor of billing knows of one hotel's books."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

from innkeeper.protocol.billing.folio import DocumentKind, FolioLine, LineKind
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.values.taxes import TaxAmount

Key = tuple[str, int]
"""A folio: its booking, and its number within the booking."""


@dataclass(slots=True)
class LedgerRecord:
    """One hotel's books so far: the charges and payments of each folio, and every line as it was posted. `applied` is
    the number of the last event of reservations that had an effect; `given_up` are bookings that these have lost.
    `printed` are the lines of each document, in their order, `deposits` those of deposit invoices, and `settled` how
    many of these are taken off. `quoted` is what each night of a booking was agreed to cost, with its taxes. `in_house`
    are bookings whose guests are there, `departed` those whose guests have left, and not come back. `refunds` are what
    counts of each refund, by its id and by the number of its operation (`#1`)."""

    hotel: str
    today: date = date.min
    seq: int = 0
    applied: int = 0
    folios: Counter[str] = field(default_factory=Counter)
    charges: Counter[Key] = field(default_factory=Counter)
    payments: Counter[Key] = field(default_factory=Counter)
    posted: dict[Key, list[FolioLine]] = field(default_factory=dict)
    lines: dict[int, tuple[Key, FolioLine]] = field(default_factory=dict)
    reversals: dict[int, int] = field(default_factory=dict)
    left: dict[int, list[int]] = field(default_factory=dict)
    nights: Counter[tuple[str, date]] = field(default_factory=Counter)
    taxes: Counter[str] = field(default_factory=Counter)
    captured: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)
    requested: dict[tuple[str, int], tuple[str, int]] = field(default_factory=dict)
    refunds: dict[tuple[str, str], int] = field(default_factory=dict)
    failed_refunds: set[tuple[str, str]] = field(default_factory=set)
    chargebacks: dict[tuple[str, str], int] = field(default_factory=dict)
    on_document: dict[int, str] = field(default_factory=dict)
    documents: Counter[tuple[DocumentKind, int]] = field(default_factory=Counter)
    printed: dict[str, list[int | None]] = field(default_factory=dict)
    deposits: dict[str, list[tuple[int, tuple[TaxAmount, ...]]]] = field(default_factory=dict)
    settled: Counter[str] = field(default_factory=Counter)
    quoted: dict[str, dict[date, tuple[int, tuple[TaxAmount, ...]]]] = field(default_factory=dict)
    given_up: set[str] = field(default_factory=set)
    in_house: set[str] = field(default_factory=set)
    departed: set[str] = field(default_factory=set)

    def note_status(self, booking: str, status: BookingStatus) -> bool:
        """Notes the status of a booking. Returns whether its guest has left, or was never there. Nights that are not
        over are charged once more when a guest comes back, and all nights when a check-in was undone."""
        was_in_house, had_left = booking in self.in_house, booking in self.departed
        self.in_house.discard(booking)
        self.departed.discard(booking)
        if status is BookingStatus.IN_HOUSE:
            self.in_house.add(booking)
        elif status is BookingStatus.CHECKED_OUT:
            self.departed.add(booking)
        is_undone = was_in_house and status is BookingStatus.CONFIRMED
        if is_undone or (had_left and booking not in self.departed):
            first = date.min if is_undone else self.today
            for night in self.quoted[booking]:
                if night >= first:
                    self.nights.pop((booking, night), None)
        return is_undone or booking in self.departed

    def nights_kept(self, booking: str) -> list[date]:
        """The nights that were charged for a booking, on whichever folio they are now, and not reversed."""
        return [
            line.night
            for line in self.posted.get((booking, 1), [])
            if line.night and line.kind is LineKind.CHARGE and line.moved_from is None and self._is_kept(line.id)
        ]

    def _is_kept(self, line: int) -> bool:
        reversal = self.reversals.get(line)
        return reversal is None or any(self._is_kept(place.line) for place in self.lines[reversal][1].moved_to)

    def wrong_taxes(self, key: Key, line: FolioLine) -> list[str]:
        """The codes of the taxes of a line that are not their rate of their base, to the minor unit; shares of one
        price may be a unit apart. A discount has taxes of the charges of its kind on the folio, and may be a unit apart
        for each of these."""
        is_discount = line.kind is LineKind.DISCOUNT
        lowered = [one for one in self.posted[key] if one.charge is line.charge] if is_discount else [line]
        charged = {(tax.code, tax.rate) for one in lowered if one.kind is LineKind.CHARGE for tax in one.taxes}
        return [
            tax.code
            for tax in line.taxes
            if (tax.code, tax.rate) not in charged
            or (tax.rate and abs(tax.base * tax.rate - tax.amount * 100_000) > 100_000 * len(lowered))
        ]

    def note_refund(self, payment: str, reference: str, operation: int | None, amount: int) -> None:
        """Notes what counts of a refund."""
        self.refunds |= dict.fromkeys(_names(payment, reference, operation), amount)

    def take_refund(self, payment: str, reference: str, operation: int | None) -> int:
        """Notes that a refund has failed; what had counted of it."""
        self.failed_refunds.add((payment, reference))
        return max(self.refunds.pop(name, 0) for name in _names(payment, reference, operation))

    def has_failed(self, payment: str, reference: str) -> bool:
        """Whether this refund has failed before."""
        return (payment, reference) in self.failed_refunds


def _names(payment: str, reference: str, operation: int | None) -> list[tuple[str, str]]:
    by_operation = [(payment, f"#{operation}")] if operation is not None else []
    return [*by_operation, (payment, reference)] if reference else by_operation
