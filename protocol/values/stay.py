"""A stay: the half-open range of hotel-local dates [arrival, departure) that a guest sleeps."""

from datetime import date

from innkeeper.protocol.messages.refusals import invalid
from innkeeper.protocol.values.limits import stay_nights_max


def check_stay(
    arrival: date,
    departure: date,
    nights_max: int = stay_nights_max,
    names: tuple[str, str] = ("arrival", "departure"),
) -> None:
    """Refuses a stay that does not end after it starts, or is too long. `names` are those of the two fields."""
    start, end = names
    nights = (departure - arrival).days
    if nights < 1:
        raise invalid(end, f"after_{start}", f"expected a date after {start}, {arrival}")
    if nights > nights_max:
        raise invalid(end, "nights_max", f"{nights} nights after {start}; the maximum is {nights_max}")
