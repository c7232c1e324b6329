"""The rates of taxes: integer thousandths of a percent in the system, in its interfaces a decimal string in percent."""

import re

from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values.limits import tax_percent_max

_PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,3}))?", re.ASCII)


def thousandths(percent: str, field: str) -> int:
    """Returns a rate in thousandths of a percent: "6" is 6000, "19.25" is 19250. Refuses other text, with the field."""
    match = _PERCENT.fullmatch(percent)
    if match is None:
        raise invalid(
            field, "decimal", "expected percent as digits with at most three after a point, such as 6 or 19.25"
        )
    rate = int(match[1] + (match[2] or "").ljust(3, "0"))
    if rate > tax_percent_max * 1_000:
        raise invalid(field, "maximum", f"the maximum is {tax_percent_max}")
    return rate


def render_percent(rate: int) -> str:
    """Returns thousandths of a percent as a decimal string in percent, without trailing zeros: 6000 → "6", 19250 →
    "19.25"."""
    whole, fraction = divmod(rate, 1_000)
    return f"{whole}.{fraction:03d}".rstrip("0").rstrip(".") if fraction else str(whole)
