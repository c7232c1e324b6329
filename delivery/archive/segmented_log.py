"""The archived events of one log: segments of JSON lines, of which the last is open, and an index of the closed ones.

An event is recognised by its id and its time: one that is delivered again is not written again; one of another
timeline, or of another history with the same numbers, is. What is known of the files is read from them when the first
events arrive, after a failure, and where the open segment is not as it was left. A line that a crash has torn is cut
off then.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import msgspec
from innkeeper.delivery.archive.segment_files import (
    INDEX,
    ArchivedEvent,
    SegmentSummary,
    lines,
    number_of,
    segment_name,
    summary_of,
    whole_lines,
)
from innkeeper.delivery.archive.synced_files import append, create, make_folder
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.values.instants import microseconds
from innkeeper.protocol.values.limits import archive_segment_bytes

_SEGMENTS_IN_MEMORY_MAX = 4


class SegmentedLog:
    """Appends to the segments in a folder; one is closed once it has `segment_bytes`. For one thread at a time."""

    def __init__(self, folder: Path, segment_bytes: int = archive_segment_bytes) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._closed: dict[int, SegmentSummary] = {}  # by number
        self._open = SegmentSummary("")
        self._path: Path | None = None  # of the open segment
        self._size = 0  # of the open segment, in bytes
        self._highest: dict[str, int] = {}  # the highest sequence of each hotel
        self._events: dict[Path, set[tuple[str, int]]] = {}  # ids and times of the events in some segments
        self._is_known = False

    def append(self, entries: Sequence[LogEntry]) -> None:
        """Appends the events that are not in a segment yet; returns when they are on disk. The events of a hotel are in
        its order. Raises OSError, after which all of them can be appended again."""
        if not (self._is_known and self._is_as_left()):
            self._is_known = False
            self._read()
        lowest = _lowest(entries)
        if all(sequence > self._highest.get(hotel, 0) for hotel, sequence in lowest.items()):
            self._events.clear()
        else:
            entries = [entry for entry in entries if not self._has(entry[1])]
            lowest = _lowest(entries)
        self._is_known = False
        if entries:
            self._write(entries, lowest)
        self._is_known = True

    def _is_as_left(self) -> bool:
        try:
            return self._path is None or self._path.stat().st_size == self._size
        except FileNotFoundError:
            return False

    def _has(self, record: RecordedEvent) -> bool:
        if record.hotel_seq > self._highest.get(record.hotel, 0):
            return False
        found = [number for number, one in self._closed.items() if one.spans(record.hotel, record.hotel_seq)]
        paths = [*([self._path] if self._path else []), *map(self._closed_path, found)]
        return any((record.id, record.at) in self._events_of(path) for path in paths)

    def _events_of(self, path: Path) -> set[tuple[str, int]]:
        """The ids and times of the events in a segment; none where it was moved away."""
        if path not in self._events:
            while len(self._events) >= _SEGMENTS_IN_MEMORY_MAX:
                del self._events[next(iter(self._events))]
            found, _ = lines(path, ArchivedEvent)
            self._events[path] = {(event.id, microseconds(event.time)) for event in found}
        return self._events[path]

    def _write(self, entries: Sequence[LogEntry], lowest: dict[str, int]) -> None:
        if self._path is not None and self._size >= self._segment_bytes:
            self._close(self._open)
        if self._path is None:
            self._begin(max(entries[0][0], max(self._closed, default=0) + 1))
        assert self._path is not None
        body = b"\n".join([*map(cloud_event_json, entries), b""])
        append(self._path, body)
        self._size += len(body)
        highest = {record.hotel: record.hotel_seq for _, record in entries}
        self._open.add(entries, lowest, highest)
        self._highest |= {hotel: max(last, self._highest.get(hotel, 0)) for hotel, last in highest.items()}
        if self._path in self._events:
            self._events[self._path].update((record.id, record.at) for _, record in entries)

    def _begin(self, number: int) -> None:
        """Opens a new segment. Its number is higher than those before, also where the positions begin again lower."""
        path = self._folder / segment_name(number)
        create(path)
        self._path, self._open, self._size = path, SegmentSummary(path.name), 0

    def _close(self, summary: SegmentSummary) -> None:
        """Adds a segment, which may be the open one, to the index."""
        append(self._folder / INDEX, msgspec.json.encode(summary) + b"\n")
        self._closed[number_of(summary.segment)] = summary
        if summary is self._open:
            self._path = None

    def _read(self) -> None:
        """Reads what the files have. Cuts off what a crash has torn, and adds closed segments that the index lacks."""
        make_folder(self._folder)
        closed = whole_lines(self._folder / INDEX, SegmentSummary)
        self._closed = {number_of(one.segment): one for one in closed}
        self._path, self._open, self._size, self._events = None, SegmentSummary(""), 0, {}
        files = sorted((number, path) for path in self._folder.iterdir() if (number := number_of(path.name)))
        for number, path in files:
            if number in self._closed:
                continue
            if path == files[-1][1] and path.name == segment_name(number):
                self._open = summary_of(path.name, whole_lines(path, ArchivedEvent))
                self._path, self._size = path, path.stat().st_size
            else:
                self._close(summary_of(segment_name(number), lines(path, ArchivedEvent)[0]))
        self._highest = {}
        for hotel, (_, sequence) in chain.from_iterable(
            one.hotels.items() for one in (*self._closed.values(), self._open)
        ):
            self._highest[hotel] = max(sequence, self._highest.get(hotel, 0))

    def _closed_path(self, number: int) -> Path:
        """The file of a closed segment, which may have been compressed."""
        path = self._folder / segment_name(number)
        return path if path.exists() else path.with_name(f"{path.name}.gz")


def _lowest(entries: Sequence[LogEntry]) -> dict[str, int]:
    """The lowest sequence of each hotel, which is its first."""
    return {record.hotel: record.hotel_seq for _, record in reversed(entries)}
