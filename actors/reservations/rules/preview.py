"""What a command would do: its decision as a reply, of which nothing is recorded."""

import msgspec
from innkeeper.actors.reservations.rules.decisions import Decision
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.replies import BookingReply, PreviewedMove, PreviewReply


def preview(state: HotelState, decision: Decision) -> Reply:
    """The reply of the decision; about a booking, with the moves of others. A new booking has no id, no locator and no
    guest's id: these are made when it is made."""
    reply = decision.reply
    assert reply is not None
    if not isinstance(reply, BookingReply):
        return reply
    booking = reply.booking
    moves = tuple(
        PreviewedMove(now.id, now.locator, was.room, now.room)
        for now in decision.after.values()
        if now.id != booking.id and (was := state.bookings[now.id]).rooms != now.rooms
    )
    return PreviewReply(booking if booking.id in state.bookings else _unnamed(booking), moves)


def _unnamed(booking: Booking) -> Booking:
    guest = booking.guest
    if guest.id == booking.id:
        guest = msgspec.structs.replace(guest, id="")
    return msgspec.structs.replace(booking, id="", locator="", guest=guest)
