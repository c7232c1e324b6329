"""The base of all commands."""

import msgspec


class Command(msgspec.Struct, frozen=True, gc=False):
    """The base of all commands. Each is for one hotel."""

    hotel: str
