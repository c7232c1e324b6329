"""The delays between attempts at a delivery: exponential backoff with jitter."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import random

from innkeeper.protocol.values.limits import retry_after_seconds_max, retry_seconds_first, retry_seconds_max

_GROWTH = 3
_STEPS_MAX = 20  # at this power every step exceeds the longest one
_DATE_CHARACTERS_MAX = 64


def delay_seconds(
    attempt: int, chance: float, retry_after_seconds: int | None = None, longest_seconds: float = retry_seconds_max
) -> float:
    """The delay after a failed attempt. Attempts are numbered from 1.

    Each step is three times the previous one, up to `longest_seconds`, six hours by default. The delay is half of
    the step plus the share `chance` (at least 0, less than 1) of the other half, so that receivers that failed together
    are not retried together ("equal jitter"). The receiver's `Retry-After` (RFC 9110, 10.2.3) is the minimum, up to an
    hour: one that asks for more is asked again each hour.
    """
    if attempt < 1 or not 0 <= chance < 1:
        raise ValueError("attempts are counted from 1, and chance is at least 0 and less than 1")
    growth: int = _GROWTH ** min(attempt - 1, _STEPS_MAX)
    step = min(retry_seconds_first * growth, longest_seconds)
    return max(step / 2 * (1 + chance), min(retry_after_seconds or 0, retry_after_seconds_max))


def retry_seconds(attempt: int) -> float:
    """The delay after a failed attempt, by chance; see `delay_seconds`."""
    return delay_seconds(attempt, random())


def retry_after_seconds(value: str, at_seconds: float) -> int | None:
    """The seconds that a `Retry-After` header asks for, from `at_seconds` (since 1970 UTC); None where it is invalid.

    It is a number of seconds or a date (RFC 9110, 10.2.3); a date in the past gives 0.
    """
    if re.fullmatch(r"[0-9]{1,10}", value):
        return int(value)
    if len(value) > _DATE_CHARACTERS_MAX:
        return None
    try:
        until = parsedate_to_datetime(value)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)  # an HTTP date is always GMT, even without a zone
        return max(0, round(until.timestamp() - at_seconds))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
