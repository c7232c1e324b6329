"""What a command would do: its decision as a reply, of which nothing is recorded."""

import msgspec
from innkeeper.actors.reservations.rules.decisions import Decision
from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations import events
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
        PreviewedMove(event.booking, moved.locator, event.from_room, moved.room)
        for event in (record.event for record in decision.records)
        if isinstance(event, events.RoomMoved | events.RoomUnassigned) and event.booking != booking.id
        for moved in (decision.after[event.booking],)
    )
    return PreviewReply(booking if booking.id in state.bookings else _unnamed(booking), moves)


def _unnamed(booking: Booking) -> Booking:
    guest = booking.guest
    if guest.id == booking.id:
        guest = msgspec.structs.replace(guest, id="")
    return msgspec.structs.replace(booking, id="", locator="", guest=guest)
