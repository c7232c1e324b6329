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
from innkeeper.actors.billing.rules.taxes import less_taxes, opposite, split_taxes
from innkeeper.protocol.billing import commands, events
from innkeeper.protocol.billing.folio import CHARGED, Folio, FolioLine, LineKind, LinePosition, ReversalReason
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import ActionNotAllowed, Refused, invalid
from innkeeper.protocol.reservations.booking import BookingStatus, PriceLine
from innkeeper.protocol.values import limits
from innkeeper.protocol.values.guests import new_guest
from innkeeper.protocol.values.money import Money, render
from innkeeper.protocol.values.taxes import ChargeKind, Tax, TaxAmount, added, charge_taxes, half_up

_replace = msgspec.structs.replace


_NEVER_STAYED = (BookingStatus.CANCELLED, BookingStatus.NO_SHOW, BookingStatus.RELEASED, BookingStatus.EXPIRED)


class PricedCharge(msgspec.Struct, frozen=True, gc=False):
    """An item to charge: its price in minor units for the whole quantity."""

    charge: ChargeKind
    text: str
    price: int
    quantity: int = 1
    supplied_on: date | None = None


def charge_line(number: int, day: date, priced: PricedCharge, taxes: tuple[Tax, ...]) -> FolioLine:
    """The line that charges an item, with the taxes of the day on which it was supplied."""
    amounts = charge_taxes(taxes, priced.charge, priced.price, priced.supplied_on or day)
    return FolioLine(
        id=number,
        kind=LineKind.CHARGE,
        business_date=day,
        amount=priced.price + added(amounts),
        charge=priced.charge,
        text=priced.text,
        quantity=priced.quantity,
        taxes=amounts,
        supplied_on=None if priced.supplied_on == day else priced.supplied_on,
    )


def fee_line(number: int, day: date, text: str, total: int, taxes: tuple[TaxAmount, ...]) -> FolioLine:
    """The line that charges a fee with the total that was quoted."""
    return FolioLine(
        id=number,
        kind=LineKind.CHARGE,
        business_date=day,
        amount=total,
        charge=ChargeKind.FEE,
        text=text,
        taxes=taxes,
    )


def night_line(number: int, day: date, price: PriceLine, room: str) -> FolioLine:
    """The line that charges a night in this room at its price in the booking."""
    return FolioLine(
        id=number,
        kind=LineKind.CHARGE,
        business_date=day,
        amount=price.total,
        charge=ChargeKind.ROOM,
        text="Room",
        taxes=price.taxes,
        night=price.night,
        room=room,
    )


def reversal(
    number: int,
    day: date,
    line: FolioLine,
    why: ReversalReason,
    reason: str = "",
    moved_to: tuple[LinePosition, ...] = (),
) -> FolioLine:
    """The line that reverses another line, or what `part_of` or `left_of` makes of it."""
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
        room=line.room,
        supplied_on=None if line.night or line.supplied == day else line.supplied,
        reverses=line.id,
        reason_code=why,
        reason=reason,
        moved_to=moved_to,
    )


def part_of(line: FolioLine, amount: int, quantity: int | None = None) -> FolioLine:
    """The charge with this part of its amount and taxes. Its quantity is the given one, else what costs that amount at
    the price of a unit, else 1."""
    if amount == line.amount:
        return line
    part, _ = split_taxes(line.taxes, amount, line.amount)
    return _replace(line, amount=amount, taxes=part, quantity=quantity or _quantity(line, amount))


def left_of(folio: Folio, line: FolioLine) -> FolioLine:
    """The charge without what reversals have taken of it."""
    taken = [other for other in folio.lines if other.reverses == line.id]
    if not taken:
        return line
    amount = line.amount + sum(other.amount for other in taken)
    taxes = line.taxes
    for other in taken:
        taxes = less_taxes(taxes, opposite(other.taxes))
    return _replace(line, amount=amount, taxes=taxes, quantity=_quantity(line, amount))


def _quantity(line: FolioLine, amount: int) -> int:
    """How many units of the charge cost this amount: 1 where it is no whole number of them."""
    units, rest = divmod(amount * line.quantity, line.amount) if line.amount else (line.quantity, 0)
    return units if units and not rest else 1


def open_folio(state: LedgerState, command: commands.OpenFolio, envelope: Envelope) -> Decision:
    """Opens another folio of a booking, for another buyer. Refuses one after the guest was forgotten: the buyer's
    details are the guest's, and what is forgotten is not erased again."""
    bill = find_bill(state, command.booking)
    if bill.folios[0].buyer.details is None:
        raise invalid("buyer", "forgotten", "the guest is forgotten; give the buyer of the invoice")
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
    _check_supplied(ledger.business_date, command.supplied_on)
    priced = PricedCharge(command.charge, command.text, price, command.quantity, command.supplied_on)
    line = charge_line(next(line_numbers(state)), ledger.business_date, priced, ledger.taxes)
    return Decision((events.ChargePosted(bill.booking, command.folio, line),), the_bill(bill.booking))


def _check_supplied(today: date, day: date | None) -> None:
    """Refuses a charge for what is not supplied yet, or was a long time ago."""
    if day is not None and not 0 <= (today - day).days <= limits.charged_days_after_max:
        most = limits.charged_days_after_max
        raise invalid("supplied_on", "past", f"expected {today}, the business date, or one of {most} days before it")


def reverse_charge(state: LedgerState, command: commands.ReverseCharge, envelope: Envelope) -> Decision:
    """Reverses a charge, once, with the reason."""
    place, line = find_line(find_bill(state, command.booking), command.line)
    _check_changeable("reverse", line)
    day, why = state.opened().business_date, ReversalReason.CORRECTION
    reversal_line = reversal(next(line_numbers(state)), day, line, why, command.reason)
    done = events.ChargeReversed(place.booking, place.folio, reversal_line)
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
        reversal_line = reversal(reversal_number, day, line, ReversalReason.MOVED, moved_to=(there,))
        charged = moved(line, there.line, day, place)
        done.append(events.ChargeReversed(place.booking, place.folio, reversal_line))
        done.append(events.ChargePosted(there.booking, there.folio, charged))
    return Decision(tuple(done), the_bill(bill.booking))


def moved(line: FolioLine, number: int, day: date, place: LinePosition) -> FolioLine:
    """The charge as it is posted anew for another place or buyer; it was supplied when it was."""
    supplied_on = None if line.night or line.supplied == day else line.supplied
    return _replace(
        line, id=number, business_date=day, supplied_on=supplied_on, moved_from=place, reversed_by=None, invoice=None
    )


def split_charge(state: LedgerState, command: commands.SplitCharge, envelope: Envelope) -> Decision:
    """Splits a charge on its folio: reverses it, and posts two charges with the same total and taxes."""
    bill = find_bill(state, command.booking)
    place, line = find_line(bill, command.line)
    _check_changeable("split", line)
    part = part_asked_for(state, line, command.amount, command.quantity)
    if not 0 < part.amount < line.amount:
        whole = render(line.amount, state.opened().currency)
        raise invalid("amount", "part", f"expected an amount above zero and below that of the line, {whole}")
    check_room(find_folio(bill, place.folio), 3)
    day, numbers = state.opened().business_date, line_numbers(state)
    reversal_number = next(numbers)
    quantity = None if command.quantity is None else line.quantity - command.quantity
    rest = part_of(line, line.amount - part.amount, quantity)
    rest = _replace(rest, taxes=less_taxes(line.taxes, part.taxes))
    parts = [moved(each, next(numbers), day, place) for each in (part, rest)]
    moved_to = tuple(LinePosition(place.booking, place.folio, charged.id) for charged in parts)
    reversal_line = reversal(reversal_number, day, line, ReversalReason.SPLIT, moved_to=moved_to)
    return Decision(
        (
            events.ChargeReversed(place.booking, place.folio, reversal_line),
            *(events.ChargePosted(place.booking, place.folio, charged) for charged in parts),
        ),
        the_bill(bill.booking),
    )


def part_asked_for(state: LedgerState, line: FolioLine, amount: Money | None, quantity: int | None) -> FolioLine:
    """The part of a charge that is this amount, or this many of its units. Refuses more units than there are."""
    if quantity is None:
        assert amount is not None
        return part_of(line, units_of(state, amount))
    if not 1 <= quantity <= line.quantity:
        raise invalid("quantity", "maximum", f"the line has a quantity of {line.quantity}")
    return part_of(line, half_up(line.amount * quantity, line.quantity), quantity)


def current_lines(state: LedgerState, place: LinePosition) -> list[tuple[LinePosition, FolioLine]]:
    """The lines that a charge has become by moves and splits; none, if it was reversed."""
    folio = state.folio(place.booking, place.folio)
    line = next(line for line in folio.lines if line.id == place.line)
    if line.reversed_by is None:
        return [(place, line)]
    reversal_line = next(other for other in folio.lines if other.id == line.reversed_by)
    return [found for there in reversal_line.moved_to for found in current_lines(state, there)]
