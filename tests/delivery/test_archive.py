"""The archive in both forms behind the program: what it has, what it does when it fails, and what must be installed."""

import asyncio
import json
import re
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from innkeeper.delivery.archive.event_files import file_name
from innkeeper.delivery.archive.selection import ArchiveUnreadable, check_archive, open_archive, read_archive
from innkeeper.delivery.integrations import IntegrationError, Integrations
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.reservations.events import BookingPinned, BusinessDateRolled, GuestForgotten
from support.archive import archived_events, archived_ids
from support.gateway import Gateway, booking_path, gateway, reservation_events
from support.waiting import wait_until

DAY = 86_400_000_000
FORMS = ("segments", "events")


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
    handle = open_archive(url, "events", str)
    for entries in ([entry(1)], [entry(1), entry(2)]):
        asyncio.run(handle(entries))
    filesystem, root = fsspec.core.url_to_fs(url)
    assert len(filesystem.find(root)) == 2
    event = json.loads(filesystem.cat(f"{root}/bookings/b-1/1970/01/02/kestrel-inn:2.json"))
    assert (event["id"], event["type"]) == ("kestrel-inn:2", "innkeeper.booking.pinned.v1")
    assert (event["subject"], event["position"], event["data"]) == ("b-1", 2, {"booking": "b-1", "room": "101"})


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_that_cannot_be_written_stalls_and_names_its_folder(tmp_path: Path, form: str) -> None:
    (tmp_path / "archive").write_text("a file, not a folder")
    with pytest.raises(Stalled, match="archive cannot be written"):
        asyncio.run(open_archive(str(tmp_path / "archive"), form, lambda _: "reservations")([entry()]))


@pytest.mark.parametrize(("form", "url"), [*((form, "{folder}") for form in FORMS), ("events", "memory://forgotten")])
def test_who_is_forgotten_is_found_in_both_forms(tmp_path: Path, form: str, url: str) -> None:
    url = url.format(folder=tmp_path / "archive")
    with pytest.raises(ArchiveUnreadable, match="is no archive"):
        read_archive(url)
    forgotten = [
        (number, RecordedEvent("inn", number, 1, "", "", "", GuestForgotten(f"g-{number}"))) for number in (1, 2)
    ]
    asyncio.run(open_archive(url, form, lambda _: "reservations")(forgotten))
    assert read_archive(url).forgotten == {"g-1", "g-2"}


@pytest.mark.parametrize(("missing", "url", "said"), [
    ("s3fs", "s3://bucket/events", "s3://bucket/events needs s3fs; install it with: pip install 'innkeeper[s3]'"),
    ("fsspec", "s3://bucket/events", "s3://bucket/events needs s3fs; install it with: pip install 'innkeeper[s3]'"),
    ("fsspec", "memory://events", "memory://events needs fsspec and its driver for memory://"),
])  # fmt: skip
def test_what_must_be_installed_is_said(monkeypatch: pytest.MonkeyPatch, missing: str, url: str, said: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ValueError, match=re.escape(said)):
        check_archive(url, "")
    with pytest.raises(IntegrationError, match=re.escape(said)):
        Integrations.from_options(SimpleNamespace(archive=url))
    with pytest.raises(ArchiveUnreadable, match=re.escape(said)):
        read_archive(url)


def test_an_archive_in_a_folder_needs_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    for url in (str(tmp_path / "archive"), f"file://{tmp_path}/archive"):
        check_archive(url, "")
        asyncio.run(open_archive(url, "", lambda _: "reservations")([entry()]))
        assert read_archive(url).forgotten == set()
    assert archived_ids(tmp_path / "archive") == ["kestrel-inn:1"]


def test_segments_are_refused_where_nothing_can_be_appended() -> None:
    with pytest.raises(IntegrationError, match="only --archive-form events is possible"):
        Integrations.from_options(SimpleNamespace(archive="memory://events", archive_form="segments"))
    check_archive("memory://events", "")


@pytest.mark.parametrize("form", FORMS)
def test_the_archive_has_the_events_of_a_bookings_history(tmp_path: Path, form: str) -> None:
    def archived() -> list[dict[str, Any]]:
        if form == "events":
            return [*files(tmp_path / "archive" / "bookings" / booking["id"]).values()]
        return [event for event in archived_events(tmp_path / "archive") if event.get("subject") == booking["id"]]

    with gateway(tmp_path, archive_form=form) as server:
        hotel = server.open_hotel()
        booking = server.book(hotel)
        server.act(hotel, booking, "pin")
        history = server.get(f"{booking_path(hotel, booking)}/history").json["data"]
        wait_until(lambda: len(reservation_events(archived())) == 2, seconds=60)
        assert reservation_events(archived()) == history


@pytest.mark.parametrize("form", FORMS)
def test_bookings_go_on_while_the_archive_fails_and_every_event_is_archived_later(tmp_path: Path, form: str) -> None:
    def archived() -> list[dict[str, Any]]:
        return [*files(tmp_path / "archive").values()] if form == "events" else archived_events(tmp_path / "archive")

    (tmp_path / "archive").write_text("in the way")
    with gateway(tmp_path, archive_form=form) as server:
        hotel = server.open_hotel({"DBL": 5})
        server.book(hotel)
        wait_until(lambda: subscriber(server)["stalled"] is not None, seconds=60)
        assert "cannot be written" in subscriber(server)["stalled"]
        for _ in range(4):
            server.book(hotel)
        (tmp_path / "archive").unlink()
        events = server.all_events()
        wait_until(lambda: len(archived()) == len(events), seconds=60)
        assert sorted(archived(), key=by_source) == sorted(events, key=by_source)
        wait_until(lambda: subscriber(server)["stalled"] is None, seconds=60)


def by_source(event: dict[str, Any]) -> tuple[str, int]:
    return event["source"], int(event["sequence"])


def subscriber(server: Gateway) -> dict[str, Any]:
    """The state of the archive's subscriber."""
    (found,) = [one for one in server.get("/v1/subscribers").json["data"] if one["name"] == "archive"]
    return found
