"""Which events change the read models, whatever engine they are in."""

from typing import TypeVar

from innkeeper.protocol.messages.event_table import EventTable
from innkeeper.protocol.reservations import events, room_events
from innkeeper.protocol.values.contexts import BILLING, DELIVERY

H = TypeVar("H")


def read_model_events(consumer: str, hotel: H, booking: H, guest: H) -> EventTable[H]:
    """The table of read models: `hotel` handles the events about a hotel itself, `booking` those about a booking, and
    `guest` those by which a guest is forgotten."""
    return EventTable(
        consumer,
        handles={
            events.HotelOpened: hotel,
            events.TermsOfSaleChanged: hotel,
            events.HotelChanged: hotel,
            events.RoomTypeAdded: hotel,
            room_events.RoomTypeChanged: hotel,
            room_events.RoomTypeRetired: hotel,
            events.RoomAdded: hotel,
            room_events.RoomRetired: hotel,
            events.BusinessDateRolled: hotel,
            events.BookingHeld: booking,
            events.BookingConfirmed: booking,
            events.BookingModified: booking,
            events.HoldExtended: booking,
            events.HoldExpired: booking,
            events.HoldReleased: booking,
            events.RoomMoved: booking,
            events.BookingPinned: booking,
            events.BookingUnpinned: booking,
            events.BookingCancelled: booking,
            events.BookingReinstated: booking,
            events.GuestCheckedIn: booking,
            events.GuestCheckedOut: booking,
            events.GuestNoShow: booking,
            events.GuestChanged: booking,
            events.ReminderChanged: booking,
            events.RoomUnassigned: booking,
            events.RoomAssigned: booking,
            events.CheckInUndone: booking,
            events.CheckOutUndone: booking,
            events.GuestOverstayed: booking,
            events.GuestForgotten: guest,
        },
        ignores=(
            events.WaitlistChanged,
            room_events.RoomClosed,
            room_events.RoomClosureChanged,
            room_events.RoomReopened,
            room_events.RoomConditionChanged,
            events.WaitlistJoined,
            events.WaitlistLeft,
            events.GuestAddressRefused,
            events.GuestAddressAccepted,
            events.TimelineBegun,
        ),
        not_followed=(BILLING, DELIVERY),
    )
