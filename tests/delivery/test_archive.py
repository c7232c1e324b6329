"""The archive: every event once, as a file of its own, wherever fsspec can write."""

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
    """A booking is pinned, on the second day of 1970."""
    return position, RecordedEvent(
        "kestrel-inn", position, DAY, "ann", "request", "command", BookingPinned("b-1", "101")
    )


def files(folder: Path) -> dict[str, Any]:
    """All files under a folder, by name."""
    found = sorted(path for path in folder.rglob("*.json") if path.is_file())
    return {str(path.relative_to(folder)): json.loads(path.read_bytes()) for path in found}


def test_a_file_is_named_after_its_booking_its_day_and_its_event() -> None:
    _, record = entry(7)
    assert file_name(record) == "bookings/b-1/1970/01/02/kestrel-inn:7.json"
    rolled = RecordedEvent("kestrel-inn", 8, 0, "", "", "", BusinessDateRolled(date(2026, 1, 1), date(2026, 1, 2)))
    assert file_name(rolled) == "hotels/kestrel-inn/1970/01/01/kestrel-inn:8.json"


@pytest.mark.parametrize("url", ["{folder}/plain", "file://{folder}/schema", "memory://archive"])
def test_an_event_is_archived_as_a_cloud_event_however_often_it_comes(tmp_path: Path, url: str) -> None:
    url = url.format(folder=tmp_path)
    archive = Archive(url)
    for entries in ([entry(1)], [entry(1), entry(2)]):
        asyncio.run(archive.handle(entries))
    place, root = fsspec.core.url_to_fs(url)
    assert len(place.find(root)) == 2
    told = json.loads(place.cat(f"{root}/bookings/b-1/1970/01/02/kestrel-inn:2.json"))
    assert (told["id"], told["type"]) == ("kestrel-inn:2", "innkeeper.booking.pinned.v1")
    assert (told["subject"], told["position"], told["data"]) == ("b-1", 2, {"booking": "b-1", "room": "101"})


def test_a_place_that_cannot_be_written_stalls_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file, not a folder")
    with pytest.raises(Stalled, match="archive cannot be written"):
        asyncio.run(Archive(str(tmp_path / "archive")).handle([entry()]))


def test_what_is_booked_is_archived_at_once_as_the_history_tells_it(tmp_path: Path) -> None:
    with gateway(tmp_path) as front:
        hotel = front.open_hotel()
        booking = front.book(hotel)
        front.act(hotel, booking, "pin")
        history = front.get(f"{booking_path(hotel, booking)}/history").json["data"]
        folder = tmp_path / "archive" / "bookings" / booking["id"]
        wait_until(lambda: len(reservation_events(files(folder).values())) == 2, seconds=60)
        assert reservation_events(files(folder).values()) == history


def test_bookings_go_on_while_the_archive_is_away_and_none_is_missing_afterwards(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("in the way")
    with gateway(tmp_path) as front:
        hotel = front.open_hotel({"DBL": 5})
        front.book(hotel)
        wait_until(lambda: subscriber(front)["stalled"] is not None, seconds=60)
        assert "cannot be written" in subscriber(front)["stalled"]
        for _ in range(4):
            front.book(hotel)
        (tmp_path / "archive").unlink()
        events = front.all_events()
        wait_until(lambda: len(files(tmp_path / "archive")) == len(events), seconds=60)
        archived = files(tmp_path / "archive").values()
        assert sorted(archived, key=by_source) == sorted(events, key=by_source)
        wait_until(lambda: subscriber(front)["stalled"] is None, seconds=60)


def by_source(event: dict[str, Any]) -> tuple[str, int]:
    return event["source"], int(event["sequence"])


def subscriber(front: Gateway) -> dict[str, Any]:
    """How the archive is."""
    (found,) = [one for one in front.get("/v1/subscribers").json["data"] if one["name"] == "archive"]
    return found
