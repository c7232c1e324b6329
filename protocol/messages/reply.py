"""The base of all replies."""

from typing import ClassVar

import msgspec


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The base of all replies. `name` is its name on the wire, which never changes."""

    name: ClassVar[str]
