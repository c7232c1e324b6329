"""Folios and their lines: posting, reversing, moving and splitting. Lines are never edited, but reversed."""

from datetime import date

import msgspec
from innkeeper.actors.billing.rules.lookups import (
    Decision,
    check_room,
    find_bill,
    find_folio,
    find_line,
    line_numbers,
    positive,
    the_bill,
    units_of,
)
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.actors.billing.rules.taxes import opposite, split_taxes
from innkeeper.protocol.billing import commands, events
from innkeeper.protocol.billing.folio import CHARGED, FolioLine, LineKind, LinePosition, ReversalReason
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import ActionNotAllowed, Refused, invalid
from innkeeper.protocol.reservations.booking import BookingStatus, PriceLine
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.guests import new_guest
from innkeeper.protocol.values.money import render
from innkeeper.protocol.values.taxes import ChargeKind, Tax, added, charge_taxes

_replace = msgspec.structs.replace


_NEVER_STAYED = (BookingStatus.CANCELLED, BookingStatus.NO_SHOW, BookingStatus.RELEASED, BookingStatus.EXPIRED)


class PricedCharge(msgspec.Struct, frozen=True, gc=False):
    """An item to charge: its price in minor units for the whole quantity."""

    charge: ChargeKind
    text: str
    price: int
    quantity: int = 1


def charge_line(number: int, day: date, priced: PricedCharge, taxes: tuple[Tax, ...]) -> FolioLine:
    """The line that charges an item, with its taxes."""
    amounts = charge_taxes(taxes, priced.charge, priced.price, day)
    return FolioLine(
        id=number,
        kind=LineKind.CHARGE,
        business_date=day,
        amount=priced.price + added(amounts),
        charge=priced.charge,
        text=priced.text,
        quantity=priced.quantity,
        taxes=amounts,
    )


def night_line(number: int, day: date, price: PriceLine) -> FolioLine:
    """The line that charges a night at its price in the booking."""
    return FolioLine(
        id=number,
        kind=LineKind.CHARGE,
        business_date=day,
        amount=price.total,
        charge=ChargeKind.ROOM,
        text="Room",
        taxes=price.taxes,
        night=price.night,
    )


def reversal(number: int, day: date, line: FolioLine, moved_to: tuple[LinePosition, ...] = ()) -> FolioLine:
    """The line that reverses another line."""
    return FolioLine(
        id=number,
        kind=LineKind.REVERSAL,
        business_date=day,
        amount=-line.amount,
        charge=line.charge,
        text=line.text,
        quantity=line.quantity,
        taxes=opposite(line.taxes),
        night=line.night,
        reverses=line.id,
        moved_to=moved_to,
    )


def open_folio(state: LedgerState, command: commands.OpenFolio, envelope: Envelope) -> Decision:
    """Opens another folio of a booking, for another buyer."""
    bill = find_bill(state, command.booking)
    number = len(bill.folios) + 1
    if number > limits.folios_per_booking_max:
        raise invalid("booking", "folios_max", f"a booking has at most {limits.folios_per_booking_max} folios")
    buyer = new_guest(command.hotel, bill.guest_id, state.seq + 1, command.buyer.details(), envelope.salt)
    opened = events.FolioOpened(booking=bill.booking, folio=number, buyer=buyer)
    return Decision((opened,), the_bill(bill.booking))


def post_charge(state: LedgerState, command: commands.PostCharge, envelope: Envelope) -> Decision:
    """Posts a manual charge on the hotel's business date."""
    bill = find_bill(state, command.booking)
    check_room(find_folio(bill, command.folio))
    if bill.stay.status in _NEVER_STAYED and not command.allow_ended:
        reason = f"the booking is {bill.stay.status.value}; a charge on it has to be asked for: allow_ended"
        raise Refused(ActionNotAllowed("charge", reason, ()))
    ledger = state.opened()
    price = positive(state, command.unit_amount) * command.quantity
    if price > limits.charge_minor_units_max:
        most = render(limits.charge_minor_units_max, ledger.currency)
        raise invalid("quantity", "amount_max", f"the maximum of a charge, which is quantity × amount, is {most}")
    priced = PricedCharge(command.charge, command.text, price, command.quantity)
    line = charge_line(next(line_numbers(state)), ledger.business_date, priced, ledger.taxes)
    return Decision((events.ChargePosted(bill.booking, command.folio, line),), the_bill(bill.booking))


def reverse_charge(state: LedgerState, command: commands.ReverseCharge, envelope: Envelope) -> Decision:
    """Reverses a charge, once, with the reason."""
    place, line = find_line(find_bill(state, command.booking), command.line)
    _check_changeable("reverse", line)
    reversal_line = reversal(next(line_numbers(state)), state.opened().business_date, line)
    done = events.ChargeReversed(place.booking, place.folio, reversal_line, ReversalReason.CORRECTION, command.reason)
    return Decision((done,), the_bill(command.booking))


def _check_changeable(action: str, line: FolioLine) -> None:
    """Refuses to reverse, move or split what is not a charge, is reversed already, or is on an invoice."""
    if line.kind not in CHARGED or (action == "split" and line.kind is LineKind.DISCOUNT):
        raise Refused(
            ActionNotAllowed(
                action, f"line {line.id} is a {line.kind.value}; only charges can be reversed, moved or split", ()
            )
        )
    if line.reversed_by is not None:
        raise Refused(ActionNotAllowed(action, f"line {line.id} is already reversed by line {line.reversed_by}", ()))
    if line.invoice is not None:
        reason = f"line {line.id} is on invoice {line.invoice}; issue a credit note"
        raise Refused(ActionNotAllowed(action, reason, ("credit-note",)))


def move_charges(state: LedgerState, command: commands.MoveCharges, envelope: Envelope) -> Decision:
    """Moves lines to another folio: reverses them on theirs, and charges them on the other."""
    bill = find_bill(state, command.booking)
    target = find_bill(state, command.to_booking or bill.booking)
    check_room(find_folio(target, command.to_folio), len(command.lines))
    day, numbers = state.opened().business_date, line_numbers(state)
    done: list[events.FolioEvent] = []
    for number in command.lines:
        place, line = find_line(bill, number)
        _check_changeable("move", line)
        if (place.booking, place.folio) == (target.booking, command.to_folio):
            raise invalid("to_folio", "other", f"line {line.id} is already on this folio")
        reversal_number, there = next(numbers), LinePosition(target.booking, command.to_folio, next(numbers))
        reversal_line = reversal(reversal_number, day, line, (there,))
        charged = _replace(line, id=there.line, business_date=day, moved_from=place)
        done.append(events.ChargeReversed(place.booking, place.folio, reversal_line, ReversalReason.MOVED))
        done.append(events.ChargePosted(there.booking, there.folio, charged))
    return Decision(tuple(done), the_bill(bill.booking))


def split_charge(state: LedgerState, command: commands.SplitCharge, envelope: Envelope) -> Decision:
    """Splits a charge on its folio: reverses it, and posts two charges with the same total and taxes."""
    bill = find_bill(state, command.booking)
    place, line = find_line(bill, command.line)
    _check_changeable("split", line)
    part = units_of(state, command.amount)
    if not 0 < part < line.amount:
        whole = render(line.amount, state.opened().currency)
        raise invalid("amount", "part", f"expected an amount above zero and below that of the line, {whole}")
    check_room(find_folio(bill, place.folio), 3)
    day, numbers = state.opened().business_date, line_numbers(state)
    reversal_number = next(numbers)
    parts = [
        _replace(line, id=next(numbers), business_date=day, amount=amount, taxes=taxes, moved_from=place)
        for amount, taxes in zip((part, line.amount - part), split_taxes(line.taxes, part, line.amount), strict=True)
    ]
    moved_to = tuple(LinePosition(place.booking, place.folio, charged.id) for charged in parts)
    reversal_line = reversal(reversal_number, day, line, moved_to)
    return Decision(
        (
            events.ChargeReversed(place.booking, place.folio, reversal_line, ReversalReason.SPLIT),
            *(events.ChargePosted(place.booking, place.folio, charged) for charged in parts),
        ),
        the_bill(bill.booking),
    )


def current_lines(state: LedgerState, place: LinePosition) -> list[tuple[LinePosition, FolioLine]]:
    """The lines that a charge has become by moves and splits; none, if it was reversed."""
    folio = state.folio(place.booking, place.folio)
    line = next(line for line in folio.lines if line.id == place.line)
    if line.reversed_by is None:
        return [(place, line)]
    reversal_line = next(other for other in folio.lines if other.id == line.reversed_by)
    return [found for there in reversal_line.moved_to for found in current_lines(state, there)]
