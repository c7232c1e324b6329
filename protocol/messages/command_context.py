"""What a rule is told beside the command itself."""

import msgspec


class CommandContext(msgspec.Struct, frozen=True, gc=False):
    """What the partition's host gives to a command: the instant (microseconds since 1970 UTC) and a fresh unique id."""

    at: int
    id: str
    if_version: int | None = None
    excluded_rooms: frozenset[str] = frozenset()
