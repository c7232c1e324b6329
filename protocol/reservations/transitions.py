"""The transitions of a booking as a table: which event leads from which status to which; and facts about statuses.

The table decides: whoever needs the status of a booking after an event reads it here, and an action is allowed where
the table has a transition by the event that records it.
"""

from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.booking import BookingStatus

_NEW = None
_HELD, _CONFIRMED, _IN_HOUSE = BookingStatus.HELD, BookingStatus.CONFIRMED, BookingStatus.IN_HOUSE

# (status, event) → the next status. A new booking has no status yet. An event of another kind, or in another status,
# cannot happen.
TRANSITIONS: dict[tuple[BookingStatus | None, type[Event]], BookingStatus] = {
    (_NEW, events.BookingHeld): BookingStatus.HELD,
    (_NEW, events.BookingConfirmed): BookingStatus.CONFIRMED,
    (_HELD, events.BookingConfirmed): BookingStatus.CONFIRMED,
    (_HELD, events.HoldReleased): BookingStatus.RELEASED,
    (_HELD, events.HoldExpired): BookingStatus.EXPIRED,
    (_HELD, events.HoldExtended): BookingStatus.HELD,
    (_HELD, events.BookingModified): BookingStatus.HELD,
    (_HELD, events.GuestChanged): BookingStatus.HELD,
    (_HELD, events.ReminderChanged): BookingStatus.HELD,
    (_HELD, events.RoomMoved): BookingStatus.HELD,
    (_HELD, events.BookingPinned): BookingStatus.HELD,
    (_HELD, events.BookingUnpinned): BookingStatus.HELD,
    (_CONFIRMED, events.GuestCheckedIn): BookingStatus.IN_HOUSE,
    (_CONFIRMED, events.BookingCancelled): BookingStatus.CANCELLED,
    (_CONFIRMED, events.GuestNoShow): BookingStatus.NO_SHOW,
    (_CONFIRMED, events.BookingModified): BookingStatus.CONFIRMED,
    (_CONFIRMED, events.GuestChanged): BookingStatus.CONFIRMED,
    (_CONFIRMED, events.ReminderChanged): BookingStatus.CONFIRMED,
    (_CONFIRMED, events.RoomMoved): BookingStatus.CONFIRMED,
    (_CONFIRMED, events.RoomUnassigned): BookingStatus.CONFIRMED,
    (_CONFIRMED, events.RoomAssigned): BookingStatus.CONFIRMED,
    (_CONFIRMED, events.BookingPinned): BookingStatus.CONFIRMED,
    (_CONFIRMED, events.BookingUnpinned): BookingStatus.CONFIRMED,
    (_IN_HOUSE, events.GuestCheckedOut): BookingStatus.CHECKED_OUT,
    (_IN_HOUSE, events.BookingModified): BookingStatus.IN_HOUSE,
    (_IN_HOUSE, events.GuestChanged): BookingStatus.IN_HOUSE,
    (_IN_HOUSE, events.ReminderChanged): BookingStatus.IN_HOUSE,
    (_IN_HOUSE, events.RoomMoved): BookingStatus.IN_HOUSE,
    (_IN_HOUSE, events.RoomUnassigned): BookingStatus.IN_HOUSE,
    (_IN_HOUSE, events.RoomAssigned): BookingStatus.IN_HOUSE,
    (_IN_HOUSE, events.CheckInUndone): BookingStatus.CONFIRMED,
    (_IN_HOUSE, events.GuestOverstayed): BookingStatus.IN_HOUSE,
    (BookingStatus.CHECKED_OUT, events.RoomUnassigned): BookingStatus.CHECKED_OUT,
    (BookingStatus.CHECKED_OUT, events.GuestChanged): BookingStatus.CHECKED_OUT,
    (BookingStatus.CHECKED_OUT, events.CheckOutUndone): BookingStatus.IN_HOUSE,
    (BookingStatus.CANCELLED, events.GuestChanged): BookingStatus.CANCELLED,
    (BookingStatus.CANCELLED, events.BookingReinstated): BookingStatus.CONFIRMED,
    (BookingStatus.NO_SHOW, events.GuestChanged): BookingStatus.NO_SHOW,
    (BookingStatus.NO_SHOW, events.BookingReinstated): BookingStatus.CONFIRMED,
}

# Each action on a booking, and the event that records it. Some actions have more events than this one.
ACTIONS: dict[str, type[Event]] = {
    "confirm": events.BookingConfirmed,
    "release": events.HoldReleased,
    "extend": events.HoldExtended,
    "check-in": events.GuestCheckedIn,
    "cancel": events.BookingCancelled,
    "no-show": events.GuestNoShow,
    "undo-check-in": events.CheckInUndone,
    "check-out": events.GuestCheckedOut,
    "undo-check-out": events.CheckOutUndone,
    "reinstate": events.BookingReinstated,
    "change": events.BookingModified,
    "move": events.RoomMoved,
    "swap": events.RoomMoved,
    "pin": events.BookingPinned,
    "unpin": events.BookingUnpinned,
}


def status_after(status: BookingStatus | None, kind: type[Event]) -> BookingStatus:
    """Returns the status after an event, for a subscriber, which may have missed events: dead letters that were
    dropped. Where the table has no transition from the status that the subscriber knows, returns the one status to
    which such an event leads; where that depends, the known status, or that of a new booking."""
    if (status, kind) in TRANSITIONS:
        return TRANSITIONS[status, kind]
    possible = statuses_after(kind)
    return possible.pop() if len(possible) == 1 else status or TRANSITIONS[_NEW, events.BookingConfirmed]


def statuses_after(kind: type[Event]) -> set[BookingStatus]:
    """Returns the statuses to which such an event leads."""
    return {to for (_, by), to in TRANSITIONS.items() if by is kind}


# A checked-out guest holds the nights slept; only for one who left on the day of arrival is one of them not over.
HOLDS_NIGHTS = frozenset(
    {BookingStatus.HELD, BookingStatus.CONFIRMED, BookingStatus.IN_HOUSE, BookingStatus.CHECKED_OUT}
)


NOT_ARRIVED = frozenset({BookingStatus.HELD, BookingStatus.CONFIRMED})

NOT_ENDED = NOT_ARRIVED | {BookingStatus.IN_HOUSE}

ARRIVED = frozenset({BookingStatus.IN_HOUSE, BookingStatus.CHECKED_OUT})

NOT_FINAL = frozenset(status for (status, _), to in TRANSITIONS.items() if status is not None and to in NOT_ENDED)
"""The statuses of bookings that have not ended, or whose end can be undone."""
