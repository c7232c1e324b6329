"""The log of `recorder.c`: its operations, in order, and what left the machine with which of them."""

import re
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_HEAD = struct.Struct("=IHHQQ")
_REPLY = re.compile(rb"^HTTP/1\.1 \d{3} .*?\r\nX-Request-ID: ([^\r\n]+)\r\n", re.DOTALL | re.IGNORECASE | re.MULTILINE)
_LETTER = re.compile(
    rb"^To: [^\r\n]*?([^\s<>]+)>?\r\n.*?^Message-ID: (<[^>\r\n]+>)\r\n.*?\r\n\.\r\n", re.DOTALL | re.MULTILINE
)
_WEBHOOK = re.compile(rb"^webhook-id: ([^\r\n]+)\r\n", re.IGNORECASE | re.MULTILINE)
_CLIENT_OF_MAIL = b"EHLO "


class Operation(NamedTuple):
    """One operation: its kind (a letter of `recorder.c`), the inode, the place or size, the path, and the data."""

    kind: str
    inode: int
    at: int
    path: str
    data: bytes


def parse(content: bytes) -> list[Operation]:
    """The operations in this part of a log."""
    place, found = 0, list[Operation]()
    while place < len(content):
        size, path_length, kind, inode, at = _HEAD.unpack_from(content, place)
        place += _HEAD.size
        path = content[place : place + path_length].decode()
        place += path_length
        found.append(Operation(chr(kind), inode, at, path, content[place : place + size]))
        place += size
    assert place == len(content), "the log ends in the middle of an operation"
    return found


class Departures(NamedTuple):
    """What left the machine, with the number of the operation that sent its end: replies by the ids of their requests,
    letters, with their addresses, by their Message-ID, and events to receivers of webhooks. Each is listed with the
    first time only."""

    replies: dict[str, int]
    letters: dict[str, tuple[int, str]]
    webhooks: dict[str, int]

    def numbers(self) -> list[int]:
        """All of these operations, in order."""
        letters = (number for number, _ in self.letters.values())
        return sorted({*self.replies.values(), *letters, *self.webhooks.values()})


def departures(operations: Sequence[Operation]) -> Departures:
    """What left the machine with these operations. A reply counts from its head on: the rest of it follows at once."""
    found = Departures({}, {}, {})
    streams: dict[int, bytes] = {}  # what was sent on each socket, since the last letter
    for number, operation in enumerate(operations):
        if operation.kind != "S":
            continue
        before = streams.get(operation.inode, b"")
        if before or operation.data.startswith(_CLIENT_OF_MAIL):
            streams[operation.inode] = rest = before + operation.data
            for match in _LETTER.finditer(rest):
                found.letters.setdefault(match[2].decode(), (number, match[1].decode()))
                streams[operation.inode] = rest[match.end() :] or b"\n"
            continue
        for pattern, kind in ((_REPLY, found.replies), (_WEBHOOK, found.webhooks)):
            for match in pattern.finditer(operation.data):
                kind.setdefault(match[1].decode(), number)
    return found


def mapped_files(operations: Sequence[Operation]) -> Iterator[str]:
    """The files that were mapped to be written in memory, which the log does not show."""
    return (operation.path for operation in operations if operation.kind == "M")
