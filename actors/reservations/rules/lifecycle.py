"""The actions that a booking allows, by its status (`TRANSITIONS`) and its dates.

A booking starts as held or confirmed. A hold is confirmed, released, or expires. A confirmed guest arrives (check-in),
cancels, or does not come (no-show); a guest in house leaves (check-out). Cancelled and no-show bookings can be
reinstated while nights of the stay are left. No other action is allowed.

The dates count too: a check-in is not possible before the day of arrival, nor an action on a stay that is over.
"""

from datetime import date

from innkeeper.protocol.reservations.booking import Booking, Status
from innkeeper.protocol.reservations.transitions import TRANSITIONS


def why_not(booking: Booking, action: str, today: date) -> str | None:
    """Why the action is not allowed on this business date, or None when it is."""
    if (booking.status, action) not in TRANSITIONS:
        return f"a booking that is {booking.status.value.replace('_', ' ')} cannot {action}"
    if action in ("check-in", "no-show") and today < booking.arrival:
        return f"arrival is {booking.arrival} and the business date is {today}"
    if action == "reinstate" and booking.departure <= today:
        return f"the stay ended on {booking.departure} and the business date is {today}"
    if action == "reinstate" and booking.status is Status.CANCELLED and booking.arrival < today:
        return f"arrival was {booking.arrival} and the business date is {today}"
    if action == "pin" and booking.pinned:
        return f"room {booking.room} is already pinned"
    if action == "unpin" and not booking.pinned:
        return "the booking is not pinned"
    return None


def allowed(booking: Booking, today: date) -> tuple[str, ...]:
    """The actions that this booking allows on this business date."""
    return tuple(
        action for status, action in TRANSITIONS if status is booking.status and why_not(booking, action, today) is None
    )
