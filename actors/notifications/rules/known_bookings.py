"""What notifications keeps of bookings, from which the next notices are made."""

from datetime import date

import msgspec
from innkeeper.protocol.notifications.notices import StayFacts
from innkeeper.protocol.notifications.unsent import RefusedAddress
from innkeeper.protocol.reservations.booking import BookingStatus


class PendingChange(msgspec.Struct, frozen=True, gc=False):
    """A notice about changes that waits for further ones: its id, the stay as the guest knows it, when it is due
    (microseconds since 1970 UTC), and the number of its event in the hotel."""

    notice: str
    before: StayFacts
    due_at: int
    sequence: int


class KnownBooking(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What notifications keeps of a booking, or of an entry of the waitlist, which has no locator, status or price.
    `guest` is the guest's id; `refused` says that the address refuses letters; `waiting` is the id of the scheduled
    notice, if any (it may have been sent meanwhile); `held_at` is when a hold began or was last extended (microseconds
    since 1970 UTC); one `from_waitlist` is an offer. `language` is the guest's own, empty for the hotel's; `terms` is
    the version of the terms of sale, `paid` what was paid less refunds, in minor units. `pending` is the notice about
    changes that was not sent yet."""

    id: str
    locator: str
    guest: str
    stay: StayFacts
    status: BookingStatus | None
    email: str | None = None
    language: str = ""
    refused: RefusedAddress | None = None
    free_until: int
    late_fee: int
    no_show_fee: int
    held_at: int = 0
    expires_at: int = 0
    from_waitlist: bool = False
    reminder_on: date | None = None
    booked_on: date = date.min
    terms: int = 1
    paid: int = 0
    waiting: str = ""
    pending: PendingChange | None = None
