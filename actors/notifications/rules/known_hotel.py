"""What notifications keeps of a hotel: what its letters say of it."""

import msgspec
from innkeeper.protocol.notifications.notices import HotelFacts
from innkeeper.protocol.notifications.terms import NotificationTerms
from innkeeper.protocol.reservations import events, room_events


class KnownHotel(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What notifications keeps of a hotel. `room_types` are codes with their names."""

    facts: HotelFacts
    room_types: tuple[tuple[str, str], ...] = ()
    terms: NotificationTerms = NotificationTerms()


def opened_hotel(hotel: str, event: events.HotelOpened) -> KnownHotel:
    """A hotel that was opened."""
    return KnownHotel(
        facts=HotelFacts(hotel, event.title, event.timezone, event.currency, event.check_in, event.check_out)
    )


def changed_hotel(hotel: KnownHotel, event: events.HotelChanged) -> KnownHotel:
    """The hotel with its new name and hours."""
    facts = msgspec.structs.replace(hotel.facts, name=event.title, check_in=event.check_in, check_out=event.check_out)
    return msgspec.structs.replace(hotel, facts=facts)


def named_type(hotel: KnownHotel, event: events.RoomTypeAdded | room_events.RoomTypeChanged) -> KnownHotel:
    """The hotel with the name of a room type. One that is not sold any more keeps its name, for letters about bookings
    of it."""
    others = tuple(named for named in hotel.room_types if named[0] != event.code)
    return msgspec.structs.replace(hotel, room_types=(*others, (event.code, event.title)))
