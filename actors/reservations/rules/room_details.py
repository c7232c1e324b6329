"""What the front desk and housekeeping see of the rooms: condition, closures, who is in them and who is expected."""

from collections import defaultdict
from collections.abc import Collection

from innkeeper.actors.reservations.rules.state import HotelState
from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.reservations.closures import Closure
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.reservations.replies import RoomDetails, RoomsReply
from innkeeper.protocol.reservations.room_events import RoomCondition


def rooms_reply(
    state: HotelState,
    hotel: Hotel,
    rooms: Collection[str] | None = None,
    closure: Closure | None = None,
    condition: RoomCondition | None = None,
    *,
    guests: bool = True,
) -> RoomsReply:
    """These rooms, or all that the hotel has, in the order of its room types. `hotel` is the hotel after the decision;
    `closure` the closure that it is about, and `condition` that of the room after it."""
    types = {one.room: one.room_type for one in hotel.retired_rooms} if rooms else {}
    retired = frozenset(types)
    types |= {room: kind.code for kind in hotel.room_types for room in kind.rooms}
    in_house, due_in = _guests(state, hotel) if guests else (defaultdict(list), defaultdict(list))
    closures: dict[str, list[Closure]] = defaultdict(list)
    for one in sorted(state.upkeep.closures.values(), key=lambda closure: (closure.first, closure.id)):
        closures[one.room].append(one)
    details = tuple(
        RoomDetails(
            room,
            types[room],
            condition or state.upkeep.condition(room),
            room in retired,
            () if room in retired else tuple(closures[room]),
            tuple(in_house[room]),
            tuple(due_in[room]),
        )
        for room in (types if rooms is None else rooms)
    )
    return RoomsReply(hotel.id, hotel.version, hotel.business_date, details, closure)


def _guests(state: HotelState, hotel: Hotel) -> tuple[dict[str, list[Booking]], dict[str, list[Booking]]]:
    """By room: the bookings whose guests are in it, and those whose guests are expected in it today."""
    in_house: dict[str, list[Booking]] = defaultdict(list)
    due_in: dict[str, list[Booking]] = defaultdict(list)
    for booking in state.bookings.values():
        if booking.status is BookingStatus.IN_HOUSE:
            in_house[booking.room].append(booking)
        elif booking.status is BookingStatus.CONFIRMED and booking.arrival <= hotel.business_date:
            due_in[booking.room_on(hotel.business_date) or ""].append(booking)
    return in_house, due_in
