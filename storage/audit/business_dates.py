"""The auditor of business dates: proves that each was closed once, in order, and not before it was over (P12).

It reads the events of a hotel alone, and computes the hotel's local time from the instant of each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from innkeeper.protocol.reservations import events

_NOON = time(12)
_BY_HAND = time(3)  # when a date is over in a hotel that closes it by hand


@dataclass(slots=True)
class BusinessDates:
    """The calendar of one hotel after its events so far."""

    zone: ZoneInfo
    open_date: date
    audit: time
    is_simulated: bool

    def rolled(self, event: events.BusinessDateRolled, at: int) -> Iterator[str]:
        """Applies the event that closes a date at this instant. Yields what is wrong with it."""
        if event.closed != self.open_date or event.opened != event.closed + timedelta(days=1):
            yield f"{event.closed} was closed and {event.opened} opened, but {self.open_date} was open (P12)"
        self.open_date = event.opened
        if self.is_simulated:
            return
        is_evening = event.early or self.audit >= _NOON
        clock_time = _NOON if event.early else self.audit
        over = datetime.combine(event.closed if is_evening else event.opened, clock_time, self.zone)
        if at < round(over.timestamp()) * 1_000_000:
            closed_at = datetime.fromtimestamp(at / 1e6, self.zone)
            yield f"{event.closed} was closed at {closed_at}, before {over} (P12)"


def begun(event: events.HotelOpened, at: int) -> tuple[BusinessDates, list[str]]:
    """The calendar of a hotel that was opened at this instant, and what is wrong with its first date."""
    dates = BusinessDates(
        ZoneInfo(event.timezone), event.business_date, audit_of(event.night_audit), event.clock == "simulated"
    )
    today = datetime.fromtimestamp(at / 1e6, dates.zone).date()
    days = (today - event.business_date).days
    if dates.is_simulated or days in (0, 1):
        return dates, []
    return dates, [f"the hotel opened on {today} with the business date {event.business_date} (P12)"]


def audit_of(night_audit: str) -> time:
    """The local time at which dates are over."""
    return _BY_HAND if night_audit == "manual" else time.fromisoformat(night_audit)
