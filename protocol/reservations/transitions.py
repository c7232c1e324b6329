"""The transitions of a booking as a table: which action leads from which status to which; and facts about statuses."""

from innkeeper.protocol.reservations.booking import Status

# (status, action) → the next status. Actions that do not change the status map to the same one.
TRANSITIONS: dict[tuple[Status, str], Status] = {
    (Status.HELD, "confirm"): Status.CONFIRMED,
    (Status.HELD, "release"): Status.RELEASED,
    (Status.HELD, "extend"): Status.HELD,
    (Status.HELD, "change"): Status.HELD,
    (Status.HELD, "move"): Status.HELD,
    (Status.HELD, "pin"): Status.HELD,
    (Status.HELD, "unpin"): Status.HELD,
    (Status.CONFIRMED, "check-in"): Status.IN_HOUSE,
    (Status.CONFIRMED, "cancel"): Status.CANCELLED,
    (Status.CONFIRMED, "no-show"): Status.NO_SHOW,
    (Status.CONFIRMED, "change"): Status.CONFIRMED,
    (Status.CONFIRMED, "move"): Status.CONFIRMED,
    (Status.CONFIRMED, "pin"): Status.CONFIRMED,
    (Status.CONFIRMED, "unpin"): Status.CONFIRMED,
    (Status.IN_HOUSE, "check-out"): Status.CHECKED_OUT,
    (Status.IN_HOUSE, "change"): Status.IN_HOUSE,
    (Status.IN_HOUSE, "move"): Status.IN_HOUSE,
    (Status.CANCELLED, "reinstate"): Status.CONFIRMED,
    (Status.NO_SHOW, "reinstate"): Status.CONFIRMED,
}


# A checked-out guest holds the nights slept; only for one who left on the day of arrival is one of them not over.
HOLDS_NIGHTS = frozenset({Status.HELD, Status.CONFIRMED, Status.IN_HOUSE, Status.CHECKED_OUT})


NOT_ARRIVED = frozenset({Status.HELD, Status.CONFIRMED})

NOT_ENDED = NOT_ARRIVED | {Status.IN_HOUSE}
