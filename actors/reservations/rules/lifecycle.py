"""The actions that a booking allows, by its status (`TRANSITIONS`, `ACTIONS`) and its dates.

A booking starts as held or confirmed. A hold is confirmed, released, or expires. A confirmed guest arrives (check-in),
cancels, or does not come (no-show); a guest in house leaves (check-out). Cancelled and no-show bookings can be
reinstated while nights of the stay are left, and a no-show also on the morning after the last night, which was kept.
No other action is allowed.

The dates count too: a check-in is not possible before the day of arrival, nor an action on a stay that is over.
"""

from datetime import date

from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.reservations.transitions import ACTIONS, NOT_ENDED, TRANSITIONS, statuses_after
from innkeeper.protocol.values.sentences import one_of

_STATUSES = {
    BookingStatus.HELD: "the booking is held",
    BookingStatus.CONFIRMED: "the booking is confirmed",
    BookingStatus.IN_HOUSE: "the guest is in house",
    BookingStatus.CHECKED_OUT: "the guest has checked out",
    BookingStatus.RELEASED: "the hold was released",
    BookingStatus.EXPIRED: "the hold has expired",
    BookingStatus.CANCELLED: "the booking is cancelled",
    BookingStatus.NO_SHOW: "the guest is a no-show",
}
_DONE = {
    "confirm": "confirmed",
    "release": "released",
    "extend": "extended",
    "change": "changed",
    "move": "moved to another room",
    "swap": "swapped with another booking",
    "pin": "pinned",
    "unpin": "unpinned",
    "check-in": "checked in",
    "cancel": "cancelled",
    "no-show": "marked as a no-show",
    "undo-check-in": "taken back to before its check-in",
    "check-out": "checked out",
    "undo-check-out": "taken back to before its check-out",
    "reinstate": "reinstated",
}


def _status_forbids(booking: Booking, action: str, today: date, arriving: date | None) -> str:
    """The status, and what the booking allows instead."""
    already = " already" if booking.status in statuses_after(ACTIONS[action]) else ""
    instead = [_DONE[other] for other in allowed(booking, today, arriving)]
    subject = "it" if _STATUSES[booking.status].startswith("the booking") else "the booking"
    what = f"can be {one_of(instead)}" if instead else "cannot be changed any more"
    return f"{_STATUSES[booking.status]}{already}; {subject} {what}"


def why_not(booking: Booking, action: str, today: date, arriving: date | None = None) -> str | None:
    """Why the action is not allowed on this business date, or None when it is. `arriving` is the latest arrival that
    can be checked in now: it is later than the business date where that should have been closed already."""
    if (booking.status, ACTIONS[action]) not in TRANSITIONS:
        return _status_forbids(booking, action, today, arriving)
    arrived = arriving or today if action == "check-in" else today
    if action in ("check-in", "no-show") and arrived < booking.arrival:
        return f"{action} is possible from the day of arrival, {booking.arrival}; the business date is {today}"
    if action == "reinstate" and booking.guest.details is None:
        return "the guest is forgotten; make a new booking"
    if action == "reinstate" and not _has_nights(booking, today):
        return f"the stay ended on {booking.departure}; the business date is {today}"
    if action == "reinstate" and booking.status is BookingStatus.CANCELLED and booking.arrival < today:
        return f"a cancelled booking can be reinstated until {booking.arrival}; the business date is {today}"
    if action == "undo-check-in" and booking.checked_in_on != today:
        return f"the check-in was on {booking.checked_in_on}; it can be undone on the same business date only"
    if action == "undo-check-out" and booking.checked_out_on != today:
        return f"the check-out was on {booking.checked_out_on}; it can be undone on the same business date only"
    if action == "undo-check-out" and booking.guest.details is None:
        return "the guest is forgotten; make a new booking"
    if action in ("pin", "unpin") and not booking.room:
        return "the booking has no room"
    if action == "pin" and booking.pinned:
        return f"room {booking.room} is pinned already"
    if action == "unpin" and not booking.pinned:
        return "the booking is not pinned"
    return None


def _has_nights(booking: Booking, today: date) -> bool:
    """Whether a night is left, or the guest arrives on the day of departure after a last night that was kept."""
    is_kept = booking.kept_until is not None and booking.kept_until >= booking.departure
    return booking.departure > today or (is_kept and booking.departure == today)


def allowed(booking: Booking, today: date, arriving: date | None = None) -> tuple[str, ...]:
    """The actions that this booking allows on this business date; see `why_not`."""
    return tuple(
        action
        for action, kind in ACTIONS.items()
        if (booking.status, kind) in TRANSITIONS and why_not(booking, action, today, arriving) is None
    )


def is_over(booking: Booking, business_date: date) -> bool:
    """Whether nothing can change this booking any more. A no-show may still arrive on the day of departure."""
    if booking.status is BookingStatus.NO_SHOW:
        return booking.departure < business_date
    return booking.status not in NOT_ENDED and booking.departure <= business_date
