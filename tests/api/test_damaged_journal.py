"""A journal that is damaged while the server runs: what needs it is refused, and what does not goes on."""

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
