"""Reads the archive of all events, as anybody can."""

import json
from pathlib import Path
from typing import Any


def archived_events(archive: Path) -> list[dict[str, Any]]:
    """The events in the segments of an archive, log by log, without a last line that is being written."""
    paths = sorted(archive.glob("*/[0-9]*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_bytes().split(b"\n")[:-1]]


def archived_ids(archive: Path) -> list[str]:
    """The ids of the events in the segments of an archive, sorted."""
    return sorted(event["id"] for event in archived_events(archive))
