"""The files of a segmented log: lines that are read back after a crash, and what the index says of a segment."""

import gzip
import logging
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
from innkeeper.delivery.archive.synced_files import cut
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.values.instants import instant

logger = logging.getLogger(__name__)

INDEX: Final = "index.jsonl"
_NAME = re.compile(r"(\d{12,19})\.jsonl(\.gz)?")
T = TypeVar("T")
_Ordered = TypeVar("_Ordered", int, datetime)


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


class SegmentSummary(msgspec.Struct):
    """A line of the index: the name of a segment, how many events it has, and the lowest and highest of their positions
    and times, and of the sequences of each hotel. Positions and times are empty where it has none."""

    segment: str
    events: int = 0
    positions: tuple[int, ...] = ()
    times: tuple[datetime, ...] = ()
    hotels: dict[str, tuple[int, int]] = {}

    def add(self, entries: Sequence[LogEntry], lowest: Mapping[str, int], highest: Mapping[str, int]) -> None:
        """Adds entries of the log, of whose hotels these are the lowest and highest sequences."""
        positions, times = [position for position, _ in entries], [record.at for _, record in entries]
        self.events += len(entries)
        self.positions = _bounds([*self.positions, min(positions), max(positions)])
        self.times = _bounds([*self.times, instant(min(times)), instant(max(times))])
        for hotel in highest:
            self.hotels[hotel] = _bounds([*self.hotels.get(hotel, ()), lowest[hotel], highest[hotel]])

    def spans(self, hotel: str, sequence: int) -> bool:
        """Whether this sequence of a hotel is between those that it has."""
        low, high = self.hotels.get(hotel, (1, 0))
        return low <= sequence <= high


def summary_of(segment: str, events: Sequence[ArchivedEvent]) -> SegmentSummary:
    """The index's line of a segment with these events."""
    if not events:
        return SegmentSummary(segment)
    hotels: dict[str, list[int]] = {}
    for event in events:
        hotels.setdefault(event.hotel, []).append(int(event.sequence))
    positions, times = _bounds([event.position for event in events]), _bounds([event.time for event in events])
    bounds = {hotel: _bounds(sequences) for hotel, sequences in hotels.items()}
    return SegmentSummary(segment, len(events), positions, times, bounds)


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
    decode, found, end, read, damaged = msgspec.json.Decoder(kind).decode, list[T](), 0, 0, 0
    since_last = 0
    for line in _content(path).split(b"\n")[:-1]:
        read += len(line) + 1
        try:
            found.append(decode(line))
        except msgspec.DecodeError:
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


def _bounds(values: Iterable[_Ordered]) -> tuple[_Ordered, _Ordered]:
    ordered = sorted(values)
    return ordered[0], ordered[-1]
