"""The reasons that events of reservations give, as codes: a program counts them, and a person's words stand beside."""

from enum import StrEnum


class CancellationReason(StrEnum):
    """Why a booking was cancelled or a hold released: the guest wanted it, the hotel cannot have the guest, the guest
    did not pay, it was made twice, or another reason."""

    GUEST = "guest"
    HOTEL = "hotel"
    PAYMENT = "payment"
    DUPLICATE = "duplicate"
    OTHER = "other"


class MoveReason(StrEnum):
    """Why a booking has another room, or none: to make room for another booking, because somebody asked for it, because
    somebody asked for a better one at the same price, because two guests exchanged their rooms, because the room was
    closed or is not one of the hotel's any more, or because the guest before it stays in the room."""

    RESHUFFLE = "reshuffle"
    REQUEST = "request"
    UPGRADE = "upgrade"
    SWAP = "swap"
    ROOM_CLOSED = "room_closed"
    ROOM_RETIRED = "room_retired"
    OVERSTAY = "overstay"


class DepartureReason(StrEnum):
    """How a stay ended: on the day of departure, before it, or on the day of arrival without a night (day use)."""

    DUE = "due"
    EARLY = "early"
    DAY_USE = "day_use"


class WaitlistReason(StrEnum):
    """Why a guest left the waitlist: by request, or because the day of arrival is over."""

    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
