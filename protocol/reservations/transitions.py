"""The transitions of a booking as a table: which action leads from which status to which; and facts about statuses."""

from innkeeper.protocol.reservations.booking import BookingStatus

# (status, action) → the next status. Actions that do not change the status map to the same one.
TRANSITIONS: dict[tuple[BookingStatus, str], BookingStatus] = {
    (BookingStatus.HELD, "confirm"): BookingStatus.CONFIRMED,
    (BookingStatus.HELD, "release"): BookingStatus.RELEASED,
    (BookingStatus.HELD, "extend"): BookingStatus.HELD,
    (BookingStatus.HELD, "change"): BookingStatus.HELD,
    (BookingStatus.HELD, "move"): BookingStatus.HELD,
    (BookingStatus.HELD, "pin"): BookingStatus.HELD,
    (BookingStatus.HELD, "unpin"): BookingStatus.HELD,
    (BookingStatus.CONFIRMED, "check-in"): BookingStatus.IN_HOUSE,
    (BookingStatus.CONFIRMED, "cancel"): BookingStatus.CANCELLED,
    (BookingStatus.CONFIRMED, "no-show"): BookingStatus.NO_SHOW,
    (BookingStatus.CONFIRMED, "change"): BookingStatus.CONFIRMED,
    (BookingStatus.CONFIRMED, "move"): BookingStatus.CONFIRMED,
    (BookingStatus.CONFIRMED, "pin"): BookingStatus.CONFIRMED,
    (BookingStatus.CONFIRMED, "unpin"): BookingStatus.CONFIRMED,
    (BookingStatus.IN_HOUSE, "check-out"): BookingStatus.CHECKED_OUT,
    (BookingStatus.IN_HOUSE, "change"): BookingStatus.IN_HOUSE,
    (BookingStatus.IN_HOUSE, "move"): BookingStatus.IN_HOUSE,
    (BookingStatus.CANCELLED, "reinstate"): BookingStatus.CONFIRMED,
    (BookingStatus.NO_SHOW, "reinstate"): BookingStatus.CONFIRMED,
}


# A checked-out guest holds the nights slept; only for one who left on the day of arrival is one of them not over.
HOLDS_NIGHTS = frozenset(
    {BookingStatus.HELD, BookingStatus.CONFIRMED, BookingStatus.IN_HOUSE, BookingStatus.CHECKED_OUT}
)


NOT_ARRIVED = frozenset({BookingStatus.HELD, BookingStatus.CONFIRMED})

NOT_ENDED = NOT_ARRIVED | {BookingStatus.IN_HOUSE}
