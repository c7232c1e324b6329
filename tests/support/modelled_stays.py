"""The stays of the naive model that a partition is compared with."""

from dataclasses import dataclass

from hypothesis import strategies as st

ROOMS = {"DBL": 3, "STE": 1}
NIGHTS_AHEAD = 6
HOLDING = {"held", "confirmed", "in_house"}
OCCUPYING = HOLDING | {"left"}  # a guest who leaves on the day of arrival keeps the night


stays = st.tuples(
    st.sampled_from(["DBL", "DBL", "DBL", "STE"]),
    st.integers(0, NIGHTS_AHEAD),
    st.integers(1, 4),
    st.sampled_from([None, None, None, 60, 3_600]),
)


@dataclass
class Stay:
    """One booking in the model; nights count from the first business date."""

    room_type: str
    arrival: int
    departure: int
    status: str
    expires_at: int | None = None
    pinned: bool = False
    kept_until: int = 0
