"""The base of all queries."""

from typing import ClassVar

import msgspec


class Query(msgspec.Struct, frozen=True, gc=False):
    """The base of all queries. Each is for one hotel. `name` is its name on the wire, which never changes."""

    name: ClassVar[str]
    hotel: str
