"""The contexts that make events, each with its own words and a log of its own."""

from typing import Final, Literal

Context = Literal["reservations", "billing", "delivery"]

RESERVATIONS: Final = "reservations"
BILLING: Final = "billing"
DELIVERY: Final = "delivery"
