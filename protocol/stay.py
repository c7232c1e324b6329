"""A stay: the half-open range of hotel-local dates [arrival, departure) that a guest sleeps."""

from datetime import date

from innkeeper.protocol.limits import stay_nights_max
from innkeeper.protocol.refusals import invalid


def check_stay(arrival: date, departure: date, nights_max: int = stay_nights_max) -> None:
    """Refuse a stay that ends before it starts, or that is too long."""
    nights = (departure - arrival).days
    if nights < 1:
        raise invalid("departure", "after_arrival", f"departure must be after arrival, {arrival}")
    if nights > nights_max:
        raise invalid("departure", "nights_max", f"{nights} nights are more than the limit of {nights_max}")
