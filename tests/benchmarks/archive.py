"""The archive's processor time per event, in both of its forms, beside that of encoding the event alone."""

import asyncio
import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time

from innkeeper.delivery.archive.selection import open_archive
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.limits import subscriber_batch_events_max
from parts import Bench, progress

EVENTS = {"segments": 65_536, "events": 2_048}
OVER_ENCODING_MAX = 2.0
HOTEL = "innkeeper-benchmark"


def archive(bench: Bench) -> None:
    """Archive the same events in both forms in turn, in the largest batches of a subscriber; the least of all rounds
    counts, in microseconds per event."""
    found: dict[str, list[float]] = {"encoding": [], **{form: [] for form in EVENTS}}
    with progress(bench.rounds * len(found), "archive") as bar:
        for number in range(bench.rounds):
            found["encoding"].append(_microseconds(EVENTS["segments"], _encode))
            bar.update()
            for form, events in EVENTS.items():
                found[form].append(_microseconds(events, _writer(bench.folder / f"{form}-{number}", form)))
                bar.update()
    least = {name: min(times) for name, times in found.items()}
    over = least["segments"] - least["encoding"]
    bench.report.add("an event as JSON, alone", "–", f"{least['encoding']:.1f} µs of processor time", None)
    bench.report.add(
        f"an event in the archive as a line, in batches of {subscriber_batch_events_max}",
        f"≤ {OVER_ENCODING_MAX:g} µs more",
        f"{least['segments']:.1f} µs, {over:.1f} µs more",
        over <= OVER_ENCODING_MAX,
    )
    bench.report.add("an event in the archive as a file", "–", f"{least['events']:.1f} µs", None)


def _microseconds(events: int, archive: Callable[[Sequence[LogEntry]], None]) -> float:
    """The processor time of all threads per event."""
    entries = [_entry(number) for number in range(1, events + 1)]
    gc.collect()
    start = process_time()
    for first in range(0, events, subscriber_batch_events_max):
        archive(entries[first : first + subscriber_batch_events_max])
    return (process_time() - start) / events * 1e6


def _entry(number: int) -> LogEntry:
    event = BookingPinned(f"booking-{number}", "101")
    return number, RecordedEvent(HOTEL, number, number, "ann", f"request-{number}", f"command-{number}", event)


def _encode(entries: Sequence[LogEntry]) -> None:
    for entry in entries:
        cloud_event_json(entry)


def _writer(folder: Path, form: str) -> Callable[[Sequence[LogEntry]], None]:
    handle, loop = open_archive(str(folder), form, lambda _: "reservations"), asyncio.new_event_loop()

    def write(entries: Sequence[LogEntry]) -> None:
        loop.run_until_complete(handle(entries))

    return write
