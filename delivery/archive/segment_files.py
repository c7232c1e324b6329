"""The files of a segmented log: their names, and their lines as they are read back after a crash."""

import gzip
import logging
import re
import zlib
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from innkeeper.delivery.archive.synced_files import cut

logger = logging.getLogger(__name__)

INDEX: Final = "index.jsonl"
_NAME = re.compile(r"(\d{12,19})\.jsonl(\.gz)?")
T = TypeVar("T")


class ArchivedEvent(msgspec.Struct, frozen=True, gc=False):
    """What is read of an event's line: the attributes of the CloudEvent that say which event it is."""

    id: str
    source: Annotated[str, msgspec.Meta(pattern="^/hotels/[^/]")]
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    sequence: Annotated[str, msgspec.Meta(pattern="^[0-9]{1,19}$")]
    position: int

    @property
    def hotel(self) -> str:
        """Its hotel."""
        return self.source.split("/")[2]


def segment_name(number: int) -> str:
    """The name of the segment of this number."""
    return f"{number:012d}.jsonl"


def number_of(name: str) -> int:
    """The number of the segment in a file of this name, which may be compressed; 0 where it is no segment."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else 0


def whole_lines(path: Path, kind: type[T]) -> list[T]:
    """The lines of a file that is appended to; they are on disk then, and what follows the last whole one is cut off.
    Raises OSError."""
    if not path.exists():
        return []
    found, end = lines(path, kind)
    if torn := path.stat().st_size - end:
        logger.warning("%s ended in %d bytes that are no whole line, as after a crash; they were cut off", path, torn)
    cut(path, end)
    return found


def lines(path: Path, kind: type[T]) -> tuple[list[T], int]:
    """The lines of a file, none where there is no such file, and the number of bytes up to the end of the last of them.
    Lines before it that are damaged are left out, with a message. Raises OSError."""
    decode, check_all = msgspec.json.Decoder(kind).decode, msgspec.json.Decoder().decode
    found, end, read, damaged, since_last = list[T](), 0, 0, 0, 0
    for line in _content(path).split(b"\n")[:-1]:
        read += len(line) + 1
        try:
            check_all(line)
            found.append(decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            since_last += 1
        else:
            end, damaged, since_last = read, damaged + since_last, 0
    if damaged:
        logger.warning("%s has %d damaged lines, which are left out", path, damaged)
    return found, end


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except FileNotFoundError:
        return b""
    except (EOFError, zlib.error) as error:
        raise OSError(f"{path} is damaged: {error}") from None
