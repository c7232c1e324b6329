"""The archive as segments: each event once, whatever a crash leaves, and found without reading all of it."""

import asyncio
import gzip
import json
import logging
import random
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.delivery.archive import segmented_log, synced_files
from innkeeper.delivery.archive.segmented_log import SegmentedLog
from innkeeper.delivery.archive.segments import SegmentArchive
from innkeeper.delivery.archive.selection import read_archive
from innkeeper.protocol.codec.cloud_event import entry_of
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.reservations.events import BookingPinned, GuestForgotten
from support.archive import archived_events, archived_ids
from support.paths import ROOT
from support.required_tools import require

LOG = "reservations"
SEGMENT_BYTES = 1_000  # three events
EVENTS = 12
KILLS = 4
TORN = (b"", b"\0" * 7, b"\0\n{]\n", b'{"id":"\xff"}\n', b'{"specversion":"1.0","id"')


def entry(position: int, hotel: str = "seaside", sequence: int = 0, timeline: str = "", at: int = 0) -> LogEntry:
    """A booking is pinned."""
    event = BookingPinned(f"b-{position}", "101")
    return position, RecordedEvent(hotel, sequence or position, at or position, "ann", "", "", event, timeline)


def entries(first: int, last: int, timeline: str = "") -> list[LogEntry]:
    """The events of one hotel at these positions."""
    return [entry(position, timeline=timeline) for position in range(first, last + 1)]


def append(folder: Path, *batches: Sequence[LogEntry]) -> SegmentedLog:
    """Append batches as a new process does."""
    log = SegmentedLog(folder / LOG, SEGMENT_BYTES)
    for batch in batches:
        log.append(batch)
    return log


def index(folder: Path) -> list[dict[str, Any]]:
    """The lines of the index."""
    return [json.loads(line) for line in (folder / LOG / "index.jsonl").read_bytes().splitlines()]


def segments(folder: Path) -> list[Path]:
    """The files of the segments."""
    return sorted((folder / LOG).glob("[0-9]*"))


def test_events_are_lines_in_segments_that_are_named_after_their_first_position(tmp_path: Path) -> None:
    archive = SegmentArchive(tmp_path, lambda record: record.event.context)
    for first in (1, 3):
        asyncio.run(archive.handle(entries(first, first + 1)))
    assert [path.name for path in segments(tmp_path)] == ["000000000001.jsonl"]
    lines = segments(tmp_path)[0].read_bytes().splitlines()
    assert [entry_of(line) for line in lines] == entries(1, 4)
    append(tmp_path, entries(5, 5), entries(6, 9))
    assert [path.name for path in segments(tmp_path)] == ["000000000001.jsonl", "000000000005.jsonl"]


def test_the_index_says_where_an_event_is(tmp_path: Path) -> None:
    first, second = entries(1, 4), [entry(5, "kestrel-inn", 1), entry(6, "seaside", 5), entry(7, "kestrel-inn", 2)]
    append(tmp_path, first, second, second[-1:], [entry(8, "seaside", 6)])
    days = {"times": ["1970-01-01T00:00:00.000001Z", "1970-01-01T00:00:00.000004Z"]}
    assert index(tmp_path)[0] == {
        "segment": "000000000001.jsonl", "events": 4, "positions": [1, 4], **days, "hotels": {"seaside": [1, 4]},
    }  # fmt: skip
    append(tmp_path, [entry(9, "seaside", 7)])
    assert index(tmp_path)[1]["hotels"] == {"kestrel-inn": [1, 2], "seaside": [5, 6]}


def test_the_commands_of_the_documentation_find_an_event(tmp_path: Path) -> None:
    for tool in ("jq", "zgrep"):
        require(subprocess.run(["which", tool], capture_output=True, check=False).returncode == 0, f"no {tool}")
    append(tmp_path, *(entries(first, first + 3) for first in range(1, 30, 4)))
    closed = segments(tmp_path)[1]
    subprocess.run(["gzip", closed], check=True)
    page = (ROOT / "docs" / "deploy.md").read_text()
    (script,) = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if "index.jsonl" in block]
    for sequence in (2, 6, 29):
        commands = script.replace("42", str(sequence)).replace("data/archive", str(tmp_path))
        done = subprocess.run(["sh", "-uc", commands], capture_output=True, text=True, check=False)
        assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [f"seaside:{sequence}"], done


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_each_event_is_there_once_wherever_a_crash_cuts_the_batch(data: st.DataObject) -> None:
    """The last batch was cut at any byte; the cursor is before it, or before some of those that were complete."""
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=6), "batches")
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    batches = [entries(end - size + 1, end) for end, size in zip(ends, sizes, strict=True)]
    with TemporaryDirectory() as name, patch.object(synced_files.os, "fsync"):
        folder = Path(name)
        append(folder, *batches[:-1])
        before = {path.name: path.stat().st_size for path in segments(folder)}
        append(folder, batches[-1])
        last = segments(folder)[-1]
        kept = data.draw(st.integers(before.get(last.name, 0), last.stat().st_size), "bytes that are left")
        last.write_bytes(last.read_bytes()[:kept] + data.draw(st.sampled_from(TORN), "then"))
        cursor = data.draw(st.integers(0, ends[-1] - sizes[-1]), "cursor")
        step = data.draw(st.integers(1, 5), "events at once afterwards")
        events = entries(1, ends[-1] + 3)[cursor:]
        append(folder, *(events[at : at + step] for at in range(0, len(events), step)))
        assert [event["position"] for event in archived_events(folder)] == [*range(1, ends[-1] + 4)]


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_the_index_is_completed_wherever_a_crash_cuts_it(data: st.DataObject) -> None:
    with TemporaryDirectory() as name, patch.object(synced_files.os, "fsync"):
        folder = Path(name)
        append(folder, *([one] for one in entries(1, EVENTS)))
        whole = index(folder)
        path = folder / LOG / "index.jsonl"
        path.write_bytes(path.read_bytes()[: data.draw(st.integers(0, path.stat().st_size), "bytes that are left")])
        append(folder, entries(1, EVENTS))
        assert index(folder) == whole
        assert [event["position"] for event in archived_events(folder)] == [*range(1, EVENTS + 1)]


def test_the_lines_of_two_timelines_stay_and_tell_by_their_ids(tmp_path: Path) -> None:
    """A journal went back to event 4 and went on differently; then everything is delivered again."""
    append(tmp_path, *([one] for one in entries(1, EVENTS)))
    new = [*entries(1, 4), *entries(5, EVENTS + 5, timeline="1f3a9c20")]
    append(tmp_path, new[4:9])
    append(tmp_path, new[9:], new)
    append(tmp_path, *([one] for one in new))
    expected = sorted(record.id for _, record in {*entries(1, EVENTS), *new})
    assert archived_ids(tmp_path) == expected
    names = [path.name for path in segments(tmp_path)]
    assert len({*names}) == len(names) > 3


def test_another_history_with_the_same_ids_stays_too(tmp_path: Path) -> None:
    other = [entry(position, at=1_000 + position) for position in range(1, EVENTS + 1)]
    for _ in range(2):
        append(tmp_path, entries(1, EVENTS), other)
    assert len(archived_events(tmp_path)) == 2 * EVENTS


def test_a_dead_letter_that_is_retried_later_is_written_once(tmp_path: Path) -> None:
    others = [entry(position, "kestrel-inn", position) for position in range(2, EVENTS)]
    for _ in range(2):
        append(tmp_path, *([one] for one in others), [entry(1, "seaside", 1)])
    assert len(archived_events(tmp_path)) == len(others) + 1
    assert index(tmp_path)[0]["positions"] == [2, 5]


def test_closed_segments_can_be_compressed_or_moved_away(tmp_path: Path) -> None:
    append(tmp_path, *([one] for one in entries(1, EVENTS)))
    first, second, *_ = segments(tmp_path)
    first.with_suffix(".jsonl.gz").write_bytes(gzip.compress(first.read_bytes()))
    first.unlink()
    second.unlink()
    append(tmp_path, entries(1, EVENTS + 1))
    assert [event["position"] for event in archived_events(tmp_path)] == [9, 10, 11, 12, 5, 6, 7, 8, 13]
    (tmp_path / LOG / "index.jsonl").unlink()
    append(tmp_path, entries(1, EVENTS + 1))
    assert index(tmp_path)[0]["positions"] == [1, 4]


@pytest.mark.parametrize(
    "damage", [b'"specversion', b'"more":' + b"[" * 100_000 + b',"specversion"'], ids=["quote", "brackets"]
)
def test_a_damaged_line_is_left_out_with_a_message(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    append(tmp_path, entries(1, 3))
    path = segments(tmp_path)[0]
    path.write_bytes(path.read_bytes().replace(b'"specversion"', damage, 1))
    with caplog.at_level(logging.WARNING):
        append(tmp_path, entries(1, 3))
    assert "has 1 damaged lines" in caplog.text
    assert b'"seaside:1"' in segments(tmp_path)[-1].read_bytes().splitlines()[-1]


def test_a_torn_line_is_cut_off_with_a_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    append(tmp_path, entries(1, 3))
    path = segments(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        append(tmp_path, entries(3, 4))
    assert "ended in" in caplog.text
    assert [event["position"] for event in archived_events(tmp_path)] == [1, 2, 3, 4]


def test_an_archive_that_is_moved_away_begins_anew(tmp_path: Path) -> None:
    log = append(tmp_path, entries(1, 2))
    (tmp_path / LOG).rename(tmp_path / "away")
    log.append(entries(3, 4))
    assert [event["position"] for event in archived_events(tmp_path)] == [1, 2, 3, 4]
    assert [path.parent.name for path in segments(tmp_path)] == [LOG]


def test_a_full_disk_stalls_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """The disk takes a part of the batch: a write beyond the limit of the process is short, and then fails."""
    archive = SegmentArchive(tmp_path, lambda _: LOG)
    asyncio.run(archive.handle(entries(1, 2)))
    size = segments(tmp_path)[0].stat().st_size
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 400, hard))
        for _ in range(2):
            with pytest.raises(Stalled, match=r"cannot be written: .*File too large"):
                asyncio.run(archive.handle(entries(3, 5)))
            assert segments(tmp_path)[0].stat().st_size == size
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    asyncio.run(archive.handle(entries(3, 5)))
    assert [event["position"] for event in archived_events(tmp_path)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("call", ["write", "fsync", "open", "mkdir"])
def test_a_call_that_fails_stalls_and_nothing_is_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Each call of the operating system fails in turn: the first one, the second one, and so on."""
    real = getattr(synced_files.os, call)
    batches = [entries(at, at) for at in range(1, EVENTS + 1)]
    for after in range(EVENTS):
        calls = 0

        def fail(*arguments: Any, after: int = after, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if after < calls <= after + 3:
                raise OSError(30, "Read-only file system")
            return real(*arguments, **more)

        monkeypatch.setattr(synced_files.os, call, fail)
        archive = SegmentArchive(tmp_path / str(after), lambda _: LOG)
        monkeypatch.setattr(segmented_log.SegmentedLog.__init__, "__defaults__", (SEGMENT_BYTES,))
        for batch in batches:
            for _ in range(5):
                with suppress(Stalled):
                    asyncio.run(archive.handle(batch))
                    break
        monkeypatch.setattr(synced_files.os, call, real)
        assert [event["position"] for event in archived_events(tmp_path / str(after))] == [*range(1, EVENTS + 1)]


def test_a_guest_who_is_forgotten_has_a_line_and_a_file(tmp_path: Path) -> None:
    archive = SegmentArchive(tmp_path, lambda _: LOG)
    forgotten = (1, RecordedEvent("seaside", 1, 1, "ann", "", "", GuestForgotten("g-1")))
    for _ in range(2):
        asyncio.run(archive.handle([forgotten, entry(2)]))
    assert read_archive(str(tmp_path)).forgotten == {"g-1"}
    assert archived_ids(tmp_path) == ["seaside:1", "seaside:2"]
    (file,) = tmp_path.glob("forgotten-guests/seaside/g-1/*.json")
    assert entry_of(file.read_bytes()) == forgotten


WRITER = """
import asyncio, sys
from pathlib import Path
from innkeeper.delivery.archive import segmented_log
from innkeeper.delivery.archive.segments import SegmentArchive
from delivery.test_archive_segments import entries

segmented_log.SegmentedLog.__init__.__defaults__ = (30_000,)
folder, cursor = Path(sys.argv[1]), Path(sys.argv[2])
archive = SegmentArchive(folder, lambda _: "reservations")
while True:
    last = int(cursor.read_text() or 0)
    asyncio.run(archive.handle(entries(last + 1, last + 20)))
    fresh = cursor.with_suffix(".new")
    fresh.write_text(str(last + 20))
    fresh.replace(cursor)
    print(last + 20, flush=True)
"""


def test_a_process_that_is_killed_leaves_each_event_once(tmp_path: Path) -> None:
    """Killed at random instants while it appends; the next one goes on at the cursor, which may be behind."""
    chance, archive, cursor = random.Random(7), tmp_path / "archive", tmp_path / "cursor"
    cursor.write_text("")
    for _ in range(KILLS):
        command = [sys.executable, "-c", WRITER, str(archive), str(cursor)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT / "tests") as process:
            assert process.stdout is not None
            assert process.stdout.readline(), "it did not start"
            sleep(chance.random() / 5)
            process.kill()
    done = int(cursor.read_text())
    asyncio.run(SegmentArchive(archive, lambda _: LOG).handle(entries(done + 1, done + 20)))
    positions = [event["position"] for event in archived_events(archive)]
    assert positions == [*range(1, done + 21)]
    assert len([*archive.glob("*/[0-9]*")]) > 1
