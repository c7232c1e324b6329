"""Writes the calendar file of a stay (iCalendar, RFC 5545), which letters carry as an attachment.

A confirmed stay is published, and a cancelled one is cancelled (RFC 5546), under the same id and with a higher number,
so that the guest's calendar keeps one entry. Its times are the hotel's own.

The form of all files is the same, so that it is written from fixed pieces: the library `icalendar` takes 400 µs for
one, as long as the whole letter. The tests read the files with it.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from innkeeper.delivery.email.wording import clean
from innkeeper.protocol.notifications.notices import Notice, NoticeKind
from innkeeper.protocol.values.instants import instant

_LINE_BYTES_MAX = 75
_TIMES_KEPT = 4_096
_FOREVER_AGO = datetime(1970, 1, 1)
_STATUSES = {NoticeKind.CONFIRMATION: "CONFIRMED", NoticeKind.CHANGE: "CONFIRMED", NoticeKind.CANCELLATION: "CANCELLED"}


class CalendarFile(NamedTuple):
    """The file's bytes, whose lines end in CRLF, and its method: `PUBLISH` or `CANCEL`."""

    method: str
    body: bytes


def calendar_file(notice: Notice, sender: str, at: int) -> CalendarFile | None:
    """The calendar file of a notice, of a hotel that writes from the address `sender`, written `at` (microseconds since
    1970 UTC); None where the notice has none: it is neither about a confirmed stay nor about its cancellation."""
    status = _STATUSES.get(notice.kind)
    if status is None or notice.expires_at:
        return None
    hotel, contact, stay = notice.hotel, notice.hotel.contact, notice.stay
    start, end = _local_time(stay.arrival, hotel.check_in), _local_time(stay.departure, hotel.check_out)
    name, address, website, email = clean(hotel.name), list[str](), "", sender
    if contact is not None:
        address, website = [clean(line) for line in contact.address], contact.website
        email = contact.email if contact.email and contact.email.isascii() else sender
    method = "CANCEL" if status == "CANCELLED" else "PUBLISH"
    link = website.replace("{locator}", notice.locator)
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Innkeeper//Innkeeper//EN",
        f"METHOD:{method}",
        _time_zone(hotel.timezone, start, end),
        "BEGIN:VEVENT",
        _folded(f"UID:{notice.booking}@{hotel.id}"),
        f"SEQUENCE:{notice.sequence}",
        f"DTSTAMP:{_form(instant(at // 1_000_000 * 1_000_000))}Z",
        f"DTSTART;TZID={hotel.timezone}:{_form(start)}",
        f"DTEND;TZID={hotel.timezone}:{_form(end)}",
        _folded(f"SUMMARY:{_escaped(f'{name} ({clean(notice.locator)})')}"),
        _folded(f"LOCATION:{_escaped(', '.join([name, *address]))}"),
        *([_folded(f"URL:{link}")] if link else ()),
        _folded(f'ORGANIZER;CN="{name.replace(_QUOTE, "")}":mailto:{email}'),
        f"STATUS:{status}",
        "TRANSP:TRANSPARENT",  # a guest is not busy for the whole stay
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    )
    return CalendarFile(method, "\r\n".join(lines).encode())


_QUOTE = '"'


def _escaped(text: str) -> str:
    """A text as the value of a property (RFC 5545, 3.3.11)."""
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")


def _folded(line: str) -> str:
    """A line in lines of at most 75 bytes, none of which ends within a character (RFC 5545, 3.1)."""
    if len(line) * 4 <= _LINE_BYTES_MAX or (line.isascii() and len(line) <= _LINE_BYTES_MAX):
        return line
    parts, part, size = list[str](), "", 0
    for character in line:
        more = len(character.encode())
        if size + more > _LINE_BYTES_MAX:
            parts.append(part)
            part, size = " ", 1
        part, size = part + character, size + more
    return "\r\n".join([*parts, part])


@lru_cache(_TIMES_KEPT)
def _local_time(day: date, clock: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock))


@lru_cache(_TIMES_KEPT)
def _form(at: datetime) -> str:
    """A time as RFC 5545 writes it."""
    return f"{at:%Y%m%dT%H%M%S}"


@lru_cache(_TIMES_KEPT)
def _time_zone(name: str, start: datetime, end: datetime) -> str:
    """The component that says what the offset from UTC is at these two local times."""
    zone = ZoneInfo(name)
    first, last = start.replace(tzinfo=zone), end.replace(tzinfo=zone)
    offset, later = first.utcoffset() or timedelta(), last.utcoffset() or timedelta()
    lines = ["BEGIN:VTIMEZONE", f"TZID:{name}", *_observance(first, _FOREVER_AGO, offset, offset)]
    if later != offset:
        lines += _observance(last, _change_between(first, last), offset, later)
    return "\r\n".join([*lines, "END:VTIMEZONE"])


def _observance(example: datetime, since: datetime, before: timedelta, after: timedelta) -> list[str]:
    """From this local time on, which is one of the offset before, the offset is another one."""
    kind = "DAYLIGHT" if example.dst() else "STANDARD"
    return [
        f"BEGIN:{kind}", f"DTSTART:{_form(since)}", f"TZOFFSETFROM:{_signed(before)}",
        f"TZOFFSETTO:{_signed(after)}", f"END:{kind}",
    ]  # fmt: skip


def _signed(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


def _change_between(first: datetime, last: datetime) -> datetime:
    """The local time, by the first one's offset, at which the offset changes between two times of one zone."""
    zone, offset = first.tzinfo, first.utcoffset() or timedelta()
    low, high = int(first.astimezone(UTC).timestamp()), int(last.astimezone(UTC).timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC).replace(tzinfo=None) + offset
