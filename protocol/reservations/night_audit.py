"""What a night audit has done, or would do: the bookings that it changes when it closes a business date."""

from datetime import date

import msgspec


class AuditedBooking(msgspec.Struct, frozen=True, gc=False):
    """A booking in the list of an audit; the room is None where none is assigned."""

    booking: str
    locator: str
    room: str | None


class AuditList(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How many bookings there are of one kind, and the first of them (`limits.audit_list_bookings_max`)."""

    count: int = 0
    bookings: tuple[AuditedBooking, ...] = ()


class NightReport(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The bookings that an audit changed: guests who did not come, who were due out and stayed (`overstays`), and who
    have no room any more because of them (`unassigned`); holds that ended; and how many entries of the waitlist
    lapsed."""

    no_shows: AuditList = AuditList()
    overstays: AuditList = AuditList()
    unassigned: AuditList = AuditList()
    holds_expired: AuditList = AuditList()
    waitlist_lapsed: int = 0


class ClosedDate(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A business date that was closed. `early` where it was closed before it was over."""

    day: date
    early: bool = False
    report: NightReport = NightReport()


class AuditPreview(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What else is to be known before a business date is closed: when it is over (microseconds since 1970 UTC), the
    guests in house whose night is still to be posted, and the arrivals of the next date whose room is not clean."""

    over_at: int
    unposted: AuditList = AuditList()
    arrivals_not_clean: AuditList = AuditList()
