"""When to try again what could not be delivered: soon at first, then ever later, and never all at the same moment."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime

from innkeeper.protocol.values.limits import retry_after_seconds_max, retry_seconds_first, retry_seconds_max

_GROWTH = 3
_STEPS_MAX = 20  # by then any step is past the longest
_DATE_CHARACTERS_MAX = 64


def delay_seconds(attempt: int, chance: float, retry_after_seconds: int | None = None) -> float:
    """How long to wait after a failed attempt, the first being 1.

    Each step is three times the one before, up to six hours. Half of it is waited for certain, the other half is
    shared out by `chance` (0 to 1, without 1), so that those who failed together do not come back together: "equal
    jitter". What the other side asks for (`Retry-After`, RFC 9110, 10.2.3) is the least, up to a day.
    """
    if attempt < 1 or not 0 <= chance < 1:
        raise ValueError("attempts are counted from 1, and chance is at least 0 and less than 1")
    growth: int = _GROWTH ** min(attempt - 1, _STEPS_MAX)
    step = min(retry_seconds_first * growth, retry_seconds_max)
    return max(step / 2 * (1 + chance), min(retry_after_seconds or 0, retry_after_seconds_max))


def retry_after_seconds(value: str, at_seconds: float) -> int | None:
    """What a `Retry-After` header asks for, counted from `at_seconds` (since 1970 UTC); None where it makes no sense.

    It is a number of seconds or a date (RFC 9110, 10.2.3); a date gone by asks for nothing more: 0.
    """
    if re.fullmatch(r"[0-9]{1,10}", value):
        return int(value)
    if len(value) > _DATE_CHARACTERS_MAX:
        return None
    try:
        until = parsedate_to_datetime(value)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)  # an HTTP date is always GMT, said or not
        return max(0, round(until.timestamp() - at_seconds))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
