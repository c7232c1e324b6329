"""The decision of a ledger, and lookups for its rules: bills, folios, lines, amounts."""

from collections.abc import Callable, Iterator
from itertools import count

import msgspec
from innkeeper.actors.billing.rules.deposits import deposits_due
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.protocol.billing.folio import Bill, Folio, FolioLine, Invoice, LinePosition
from innkeeper.protocol.billing.payment import Payment
from innkeeper.protocol.billing.replies import BillReply, InvoiceReply, PaymentReply
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.refusals import NotFound, Refused, invalid
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.money import Money


class Decision(msgspec.Struct, frozen=True, gc=False):
    """The events of a decision, and the reply once they are applied. `cause` is the id of the reservations' event that
    they follow from, and is recorded with them; it is empty where the command itself is the cause."""

    events: tuple[Event, ...]
    reply: Callable[[LedgerState], Reply]
    cause: str = ""


def line_numbers(state: LedgerState) -> Iterator[int]:
    """Yields the numbers for the lines that a decision posts."""
    return count(state.lines_posted + 1)


def find_bill(state: LedgerState, booking: str) -> Bill:
    """The bill of a booking. Refuses an unknown booking."""
    bill = state.bills.get(booking)
    if bill is None:
        raise Refused(NotFound("booking", booking))
    return bill


def find_payment(state: LedgerState, payment: str) -> Payment:
    """A payment. Refuses an unknown one."""
    if payment not in state.payments:
        raise Refused(NotFound("payment", payment))
    return state.payment(payment)


def find_document(state: LedgerState, number: str) -> Invoice:
    """An invoice or credit note. Refuses an unknown number."""
    document = state.documents.get(number)
    if document is None:
        raise Refused(NotFound("invoice", number))
    return document


def find_folio(bill: Bill, number: int) -> Folio:
    """The folio of a bill by its number. Refuses an unknown number."""
    if not 1 <= number <= len(bill.folios):
        raise Refused(NotFound("folio", str(number)))
    return bill.folios[number - 1]


def find_line(bill: Bill, number: int) -> tuple[LinePosition, FolioLine]:
    """The line of a bill by its number, and its position. Refuses an unknown number."""
    for folio in bill.folios:
        for line in folio.lines:
            if line.id == number:
                return LinePosition(bill.booking, folio.number, number), line
    raise Refused(NotFound("line", str(number)))


def check_room(folio: Folio, lines: int = 1) -> None:
    """Refuses lines beyond the limit of a folio. Only manual postings are refused: a night slept is always owed."""
    if len(folio.lines) + lines > limits.lines_per_folio_max:
        raise invalid("folio", "lines_max", f"a folio has at most {limits.lines_per_folio_max} lines; open another one")


def units_of(state: LedgerState, money: Money, field: str = "amount") -> int:
    """An amount in minor units. Refuses a currency other than the hotel's."""
    currency = state.opened().currency
    if money.currency != currency:
        raise invalid(f"{field}.currency", "currency", f"amounts of this hotel are in {currency}")
    return money.minor_units()


def positive(state: LedgerState, money: Money) -> int:
    """An amount in minor units. Refuses zero, and a currency other than the hotel's."""
    units = units_of(state, money)
    if not units:
        raise invalid("amount", "positive", "expected an amount above zero")
    return units


def the_bill(booking: str) -> Callable[[LedgerState], Reply]:
    """The reply that shows a booking's bill."""
    return lambda state: bill_reply(state, state.bills[booking])


def bill_reply(state: LedgerState, bill: Bill) -> BillReply:
    """A bill with its deposits."""
    ledger = state.opened()
    return BillReply(ledger.currency, bill, deposits_due(ledger.terms_of(bill.stay).deposits, bill.stay, bill.paid))


def the_payment(payment: str) -> Callable[[LedgerState], Reply]:
    """The reply that shows one payment."""
    return lambda state: payment_reply(state, payment)


def payment_reply(state: LedgerState, payment: str) -> PaymentReply:
    """A payment with the status of its booking. Refuses an unknown one."""
    found = find_payment(state, payment)
    booking = state.payments[payment]
    return PaymentReply(state.opened().currency, booking, state.bills[booking].stay.status, found)


def the_document(number: str) -> Callable[[LedgerState], Reply]:
    """The reply that shows an invoice or a credit note."""
    return lambda state: document_reply(state, state.documents[number])


def document_reply(state: LedgerState, document: Invoice) -> InvoiceReply:
    """A document, and the guest of its booking."""
    return InvoiceReply(document, state.bills[document.booking].folios[0].buyer)
