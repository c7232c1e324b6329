"""The archive writes each event once, as a file of its own, to any file system of fsspec."""

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import fsspec
import pytest
from innkeeper.delivery.archive import Archive, file_name
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.reservations.events import BookingPinned, BusinessDateRolled
from support.gateway import Gateway, booking_path, gateway, reservation_events
from support.waiting import wait_until

DAY = 86_400_000_000


def entry(position: int = 1) -> LogEntry:
    """A booking that is pinned on the second day of 1970."""
    return position, RecordedEvent(
        "kestrel-inn", position, DAY, "ann", "request", "command", BookingPinned("b-1", "101")
    )


def files(folder: Path) -> dict[str, Any]:
    """The content of all JSON files under a folder, by name."""
    paths = sorted(path for path in folder.rglob("*.json") if path.is_file())
    return {str(path.relative_to(folder)): json.loads(path.read_bytes()) for path in paths}


def test_a_file_is_named_after_its_booking_its_day_and_its_event() -> None:
    _, record = entry(7)
    assert file_name(record) == "bookings/b-1/1970/01/02/kestrel-inn:7.json"
    rolled = RecordedEvent("kestrel-inn", 8, 0, "", "", "", BusinessDateRolled(date(2026, 1, 1), date(2026, 1, 2)))
    assert file_name(rolled) == "hotels/kestrel-inn/1970/01/01/kestrel-inn:8.json"


@pytest.mark.parametrize("url", ["{folder}/plain", "file://{folder}/schema", "memory://archive"])
def test_an_event_that_is_delivered_twice_is_archived_once_as_a_cloud_event(tmp_path: Path, url: str) -> None:
    url = url.format(folder=tmp_path)
    archive = Archive(url)
    for entries in ([entry(1)], [entry(1), entry(2)]):
        asyncio.run(archive.handle(entries))
    filesystem, root = fsspec.core.url_to_fs(url)
    assert len(filesystem.find(root)) == 2
    event = json.loads(filesystem.cat(f"{root}/bookings/b-1/1970/01/02/kestrel-inn:2.json"))
    assert (event["id"], event["type"]) == ("kestrel-inn:2", "innkeeper.booking.pinned.v1")
    assert (event["subject"], event["position"], event["data"]) == ("b-1", 2, {"booking": "b-1", "room": "101"})


def test_an_archive_that_cannot_be_written_stalls_and_names_its_folder(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file, not a folder")
    with pytest.raises(Stalled, match="archive cannot be written"):
        asyncio.run(Archive(str(tmp_path / "archive")).handle([entry()]))


def test_the_archive_has_the_events_of_a_bookings_history(tmp_path: Path) -> None:
    with gateway(tmp_path) as server:
        hotel = server.open_hotel()
        booking = server.book(hotel)
        server.act(hotel, booking, "pin")
        history = server.get(f"{booking_path(hotel, booking)}/history").json["data"]
        folder = tmp_path / "archive" / "bookings" / booking["id"]
        wait_until(lambda: len(reservation_events(files(folder).values())) == 2, seconds=60)
        assert reservation_events(files(folder).values()) == history


def test_bookings_go_on_while_the_archive_fails_and_every_event_is_archived_later(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("in the way")
    with gateway(tmp_path) as server:
        hotel = server.open_hotel({"DBL": 5})
        server.book(hotel)
        wait_until(lambda: subscriber(server)["stalled"] is not None, seconds=60)
        assert "cannot be written" in subscriber(server)["stalled"]
        for _ in range(4):
            server.book(hotel)
        (tmp_path / "archive").unlink()
        events = server.all_events()
        wait_until(lambda: len(files(tmp_path / "archive")) == len(events), seconds=60)
        archived = files(tmp_path / "archive").values()
        assert sorted(archived, key=by_source) == sorted(events, key=by_source)
        wait_until(lambda: subscriber(server)["stalled"] is None, seconds=60)


def by_source(event: dict[str, Any]) -> tuple[str, int]:
    return event["source"], int(event["sequence"])


def subscriber(server: Gateway) -> dict[str, Any]:
    """The state of the archive's subscriber."""
    (found,) = [one for one in server.get("/v1/subscribers").json["data"] if one["name"] == "archive"]
    return found
