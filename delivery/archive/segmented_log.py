"""The archived events of one log: segments of JSON lines, of which the last is open, and an index of the closed ones.

An event is recognised by its id and its time: one that is delivered again is not written again; one of another
timeline, or of another history with the same numbers, is. What is known of the files is read from them when the first
events arrive, after a failure, and where the open segment is not as it was left. A line that a crash has torn is cut
off then.
"""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import chain
from operator import attrgetter
from pathlib import Path

import msgspec
from innkeeper.delivery.archive.segment_files import (
    INDEX,
    ArchivedEvent,
    lines,
    number_of,
    segment_name,
    whole_lines,
)
from innkeeper.delivery.archive.synced_files import create, make_folder
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.values.instants import instant, microseconds
from innkeeper.protocol.values.limits import archive_segment_bytes

_SEGMENTS_IN_MEMORY_MAX = 4
_at, _sequence = attrgetter("at"), attrgetter("hotel", "hotel_seq")


class SegmentSummary(msgspec.Struct):
    """A line of the index: the name of a segment, how many events it has, and the lowest and highest of their positions
    and times, and of the sequences of each hotel. Positions and times are empty where it has none."""

    segment: str
    events: int = 0
    positions: tuple[int, ...] = ()
    times: tuple[datetime, ...] = ()
    hotels: dict[str, tuple[int, int]] = {}

    def add(self, positions: Sequence[int], times: Sequence[datetime], sequences: Iterable[tuple[str, int]]) -> None:
        """Adds events: their positions, the first and last of their times, or all, and each hotel and sequence."""
        self.events += len(positions)
        self.positions = min((*self.positions, *positions)), max((*self.positions, *positions))
        self.times = min((*self.times, *times)), max((*self.times, *times))
        for hotel, sequence in sequences:
            low, high = self.hotels.get(hotel, (sequence, sequence))
            self.hotels[hotel] = (low if low < sequence else sequence, high if high > sequence else sequence)

    def spans(self, hotel: str, sequence: int) -> bool:
        """Whether this sequence of a hotel is between those that it has."""
        low, high = self.hotels.get(hotel, (1, 0))
        return low <= sequence <= high


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
        self._events: dict[str, set[tuple[str, int]]] = {}  # ids and times of the events in some segments, by name
        self._is_known = False

    def append(self, entries: Sequence[LogEntry]) -> None:
        """Appends the events that are not in a segment yet; returns when they are on disk. The events of a hotel are in
        its order. Raises OSError, after which all of them can be appended again."""
        if not (self._is_known and self._is_as_left()):
            self._is_known = False
            self._read()
        for _, record in entries:
            if record.hotel_seq <= self._highest.get(record.hotel, 0):
                entries = [entry for entry in entries if not self._has(entry[1])]
                break
        else:
            self._events.clear()
        self._is_known = False
        if entries:
            self._write(entries)
        self._is_known = True

    def _is_as_left(self) -> bool:
        try:
            return self._path is None or self._path.stat().st_size == self._size
        except FileNotFoundError:
            return False

    def _has(self, record: RecordedEvent) -> bool:
        if record.hotel_seq > self._highest.get(record.hotel, 0):
            return False
        event, hotel, sequence = (record.id, record.at), record.hotel, record.hotel_seq
        segments = [one for one in (self._open, *self._closed.values()) if one.spans(hotel, sequence)]
        return any(event in self._events_of(one.segment) for one in segments)

    def _events_of(self, segment: str) -> set[tuple[str, int]]:
        """The ids and times of the events in a segment, which may have been compressed, or moved away with all."""
        if segment not in self._events:
            while len(self._events) >= _SEGMENTS_IN_MEMORY_MAX:
                del self._events[next(iter(self._events))]
            path = self._folder / segment
            found, _ = lines(path if path.exists() else path.with_name(f"{segment}.gz"), ArchivedEvent)
            self._events[segment] = {(event.id, microseconds(event.time)) for event in found}
        return self._events[segment]

    def _write(self, entries: Sequence[LogEntry]) -> None:
        if self._path is not None and self._size >= self._segment_bytes:
            self._close(self._open)
        if self._path is None:
            self._begin(max(entries[0][0], max(self._closed, default=0) + 1))
        assert self._path is not None
        body = b"\n".join([*map(cloud_event_json, entries), b""])
        _append(self._path, body)
        self._size += len(body)
        positions, records = zip(*entries, strict=True)
        times, sequences = [*map(_at, records)], [*map(_sequence, records)]
        self._open.add(positions, (instant(min(times)), instant(max(times))), sequences)
        for hotel, sequence in sequences:
            if sequence > self._highest.get(hotel, 0):
                self._highest[hotel] = sequence
        if self._open.segment in self._events:
            self._events[self._open.segment].update((record.id, record.at) for _, record in entries)

    def _begin(self, number: int) -> None:
        """Opens a new segment. Its number is higher than those before, also where the positions begin again lower."""
        path = self._folder / segment_name(number)
        create(path)
        self._path, self._open, self._size = path, SegmentSummary(path.name), 0

    def _close(self, summary: SegmentSummary) -> None:
        """Adds a segment, which may be the open one, to the index."""
        _append(self._folder / INDEX, msgspec.json.encode(summary) + b"\n")
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


def summary_of(segment: str, events: Sequence[ArchivedEvent]) -> SegmentSummary:
    """The index's line of a segment with these events."""
    summary = SegmentSummary(segment)
    if events:
        sequences = [(event.hotel, int(event.sequence)) for event in events]
        summary.add([event.position for event in events], [event.time for event in events], sequences)
    return summary


def _append(path: Path, body: bytes) -> None:
    """Appends to a file, which is created where it is missing, with one write and one sync. Raises OSError, after which
    nothing is appended, unless the file cannot be cut either."""
    descriptor = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        try:
            rest = memoryview(body)
            while rest:  # a full disk takes less than all, and says why at the next write
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
