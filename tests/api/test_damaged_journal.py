"""A file that is damaged while the server runs: what needs it is refused, and what does not goes on."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.protocol.values import limits
from support.gateway import IN_MEMORY
from support.gateway import gateway as running_gateway

pytestmark = pytest.mark.skipif(IN_MEMORY, reason="there is no file to damage in memory")


def test_events_that_cannot_be_decoded_are_refused_and_bookings_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "recent_events_max", 4)
    with running_gateway(tmp_path / "data") as gateway:
        hotel = gateway.open_hotel()
        for night in range(9):
            gateway.book(hotel, night)
        assert gateway.get("/v1/events").status == 200
        with closing(sqlite3.connect(tmp_path / "data" / "partition-0.db")) as journal, journal:
            journal.execute("UPDATE events SET body = x'ff' WHERE position = 2")
        refused = gateway.get("/v1/events")
        assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (503, "unavailable", "1")
        assert gateway.book(hotel, 20)["status"] == "confirmed"


def test_a_row_of_a_service_that_is_damaged_is_not_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_gateway(tmp_path / "data", webhooks_to_loopback=True) as gateway:
        webhook = gateway.post("/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": ["innkeeper.*"]}).json["id"]
        gateway.post(f"/v1/webhooks/{webhook}/actions/ping")
        deliveries = f"/v1/webhooks/{webhook}/deliveries"
        assert gateway.get(deliveries).status == 200
        with closing(sqlite3.connect(tmp_path / "data" / "delivery.db")) as store, store:
            ((checksum,),) = store.execute("SELECT checksum FROM deliveries")
            store.create_function("row_checksum", -1, lambda *_: checksum, deterministic=True)
            store.execute("UPDATE deliveries SET failed = 1 - failed")
        for _ in range(3):
            refused = gateway.get(deliveries)
            assert (refused.status, refused.json["code"], refused.headers["retry-after"]) == (503, "unavailable", "1")
        assert gateway.get("/v1/webhooks").status == 200
    said = [record.getMessage() for record in caplog.records if "delivery.db" in record.getMessage()]
    assert len(said) == 1
    assert said[0].endswith(
        "delivery.db: a row is not what was written; restore it from the backup of this installation"
    )


def test_lists_are_right_while_the_read_models_are_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with running_gateway(tmp_path / "data") as gateway:
        hotel = gateway.open_hotel({"DBL": 9})
        made = {gateway.book(hotel, night)["id"] for night in range(9)}
        for damage in ("UPDATE bookings SET body = x'00'", "UPDATE hotels SET id = 'elsewhere'", "DROP TABLE guests"):
            assert gateway.get("/v1/hotels").status == 200
            with closing(sqlite3.connect(tmp_path / "data" / "views-0.db")) as views, views:
                views.execute(damage)
            found = gateway.get(f"{hotel}/bookings?limit=200&q=ann")
            assert {booking["id"] for booking in found.json.get("data", ())} == made, found
            hotels = gateway.get("/v1/hotels")
            assert [one["id"] for one in hotels.json.get("data", ())] == [hotel.rpartition("/")[2]], hotels
    said = [record.exc_info for record in caplog.records if "views-0.db" in record.getMessage()]
    assert said == [None, None]  # the first two have the same reason, which is said once a minute
