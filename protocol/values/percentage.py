"""The rates of taxes: integer basis points in the system, in its interfaces a decimal string in percent."""

import re

from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values.limits import tax_basis_points_max

_PERCENT = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?", re.ASCII)


def basis_points(percent: str, field: str) -> int:
    """Returns a rate in basis points: "6" is 600, "19.25" is 1925. Refuses other text, naming the field."""
    match = _PERCENT.fullmatch(percent)
    if match is None:
        raise invalid(field, "decimal", "expected percent as digits with at most two after a point, such as 6 or 19.25")
    rate = int(match[1] + (match[2] or "").ljust(2, "0"))
    if rate > tax_basis_points_max:
        raise invalid(field, "maximum", f"the maximum is {render_percent(tax_basis_points_max)}")
    return rate


def render_percent(rate: int) -> str:
    """Returns basis points as a decimal string in percent, without trailing zeros: 600 → "6", 1925 → "19.25"."""
    whole, fraction = divmod(rate, 100)
    return f"{whole}.{fraction:02d}".rstrip("0").rstrip(".") if fraction else str(whole)
