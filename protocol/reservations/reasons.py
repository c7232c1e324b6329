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
    """Why a booking has another room: to make room for another booking, because somebody asked for it, or because
    somebody asked for a better one at the same price."""

    RESHUFFLE = "reshuffle"
    REQUEST = "request"
    UPGRADE = "upgrade"


class WaitlistReason(StrEnum):
    """Why a guest left the waitlist: by request, or because the day of arrival is over."""

    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
