"""The base of all queries."""

import msgspec


class Query(msgspec.Struct, frozen=True, gc=False):
    """The base of all queries. Each is for one hotel."""

    hotel: str
