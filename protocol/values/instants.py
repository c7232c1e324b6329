"""Instants: microseconds since 1970 UTC inside, RFC 3339 outside."""

from datetime import UTC, datetime, timedelta

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def instant(at: int) -> datetime:
    """Microseconds since 1970 as a datetime in UTC."""
    return _START + timedelta(microseconds=at)


def microseconds(moment: datetime) -> int:
    """The other way round."""
    return (moment - _START) // _MICROSECOND
