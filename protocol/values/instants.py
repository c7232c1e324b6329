"""Instants: microseconds since 1970 UTC in the system, RFC 3339 in its interfaces."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_REMEMBERED = 1_024  # the commands of a batch have one instant, and the stays of a day one deadline


@lru_cache(_REMEMBERED)
def instant(at: int) -> datetime:
    """Returns microseconds since 1970 UTC as a datetime in UTC."""
    return _START + timedelta(microseconds=at)


def microseconds(moment: datetime) -> int:
    """Returns a datetime as microseconds since 1970 UTC."""
    return (moment - _START) // _MICROSECOND
