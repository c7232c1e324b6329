"""The inputs of a rule beside the command itself."""

import msgspec


class CommandContext(msgspec.Struct, frozen=True, gc=False):
    """What the partition's host adds to a command: the instant (microseconds since 1970 UTC) and a new unique id."""

    at: int
    id: str
    if_version: int | None = None
    excluded_rooms: frozenset[str] = frozenset()
