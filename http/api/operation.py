"""An operation of the API, as the tables of the routes list it."""

from typing import Any, NamedTuple

from aiohttp.typedefs import Handler

HOTEL = "/v1/hotels/{hotel}"
BOOKING = HOTEL + "/bookings/{booking}"


class Operation(NamedTuple):
    """One method of one path. `query`, `body` and `answer` are the types of the query string, the request body and the
    response; an `answer` that is text is the media type of a response that is not JSON of a type. `media` are the types
    of its other formats. All methods but GET take an `Idempotency-Key`, except where `repeatable` says what makes a
    repetition harmless without one."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Any
    status: int = 200
    query: Any = None
    body: Any = None
    repeatable: str = ""
    media: tuple[str, ...] = ()

    @property
    def takes_key(self) -> bool:
        """Whether the operation takes an `Idempotency-Key`."""
        return self.method != "GET" and not self.repeatable
