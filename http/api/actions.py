"""The handler of the actions on a booking. A check-out also says what is owed, which only billing knows."""

import asyncio

import msgspec
from aiohttp import web
from innkeeper.http.api.billing import ask_billing
from innkeeper.http.api.billing_resources import money
from innkeeper.http.api.parsing import action_of
from innkeeper.http.api.rendering import json_response
from innkeeper.http.api.reservations import carry_out, shown
from innkeeper.http.api.resources import WarningResource
from innkeeper.protocol.billing.folio import Bill
from innkeeper.protocol.billing.queries import ShowBill
from innkeeper.protocol.billing.replies import BillReply
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.reservations.commands import CheckOutGuest
from innkeeper.protocol.values.limits import check_out_balance_seconds_max

_UNKNOWN = WarningResource("balance_unknown", "billing does not answer now; see the bill of the booking later")


async def act_on_booking(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/bookings/{booking}/actions/{action}"""
    command = await action_of(request)
    reply, headers = await carry_out(request, command)
    resource = shown(reply)
    if isinstance(command, CheckOutGuest):
        owed = await _owed(request, reply.booking)
        balance = None if owed is None else money(owed, reply.booking.currency)
        resource = msgspec.structs.replace(resource, balance=balance, warnings=[_UNKNOWN] if owed is None else [])
    return json_response(resource, headers=headers)


async def _owed(request: web.Request, booking: Booking) -> int | None:
    """What the guest who leaves owes: nights, charges and fees less payments; None where billing does not answer in
    time: no guest is kept at the desk for that."""
    try:
        async with asyncio.timeout(check_out_balance_seconds_max):
            reply, _ = await ask_billing(request, ShowBill(booking.hotel, booking.id), BillReply)
    except (Refused, TimeoutError):
        return None
    return _balance(reply.bill, booking)


def _balance(bill: Bill, booking: Booking) -> int:
    """The balance of the bill, with the nights that are posted at check-out."""
    if bill.stay.status is BookingStatus.CHECKED_OUT:
        return bill.balance
    posted_until = bill.posted_until or bill.stay.arrival
    return bill.balance + sum(line.total for line in booking.lines if line.night >= posted_until)
