"""The base of all replies."""

import msgspec


class Reply(msgspec.Struct, frozen=True, gc=False):
    """The base of all replies."""
