"""The base of all commands."""

from typing import ClassVar

import msgspec


class Command(msgspec.Struct, frozen=True, gc=False):
    """The base of all commands. Each is for one hotel. `name` is its name on the wire, which never changes."""

    name: ClassVar[str]
    hotel: str
