"""The life of a booking, as a table.

A booking is born held or confirmed. A hold is taken up (confirm), given back (release) or runs out. A confirmed guest
arrives (check-in), cancels, or does not come (no-show); who is in house leaves (check-out). Cancelled and no-show
bookings can come back (reinstate) while there still are nights to sleep. All else is not allowed.

The dates decide too: nobody checks in before the day of arrival, and nothing happens to a stay that is over.
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
        return f"room {booking.room} is pinned already"
    if action == "unpin" and not booking.pinned:
        return "the booking is not pinned"
    return None


def allowed(booking: Booking, today: date) -> tuple[str, ...]:
    """The actions that this booking can take now."""
    return tuple(
        action for status, action in TRANSITIONS if status is booking.status and why_not(booking, action, today) is None
    )
