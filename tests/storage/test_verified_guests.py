"""`verify` says how many guests are forgotten, and names those whose details are still there."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from support.gateway import gateway
from support.server_process import run_to_end
from support.waiting import wait_until

SECONDS_MAX = 30


def verified(data: Path) -> dict[str, Any]:
    """What `verify` prints."""
    report: dict[str, Any] = json.loads(run_to_end("verify", "--data", data).stdout)
    return report


def row_of(data: Path, guest: str) -> tuple[Any, ...]:
    """The salt and details of a guest, in the journal of reservations."""
    with closing(sqlite3.connect(data / "partition-0.db")) as db:
        row: tuple[Any, ...] = db.execute(
            "SELECT salt, details FROM guests WHERE guest = ? ORDER BY number", (guest,)
        ).fetchone()
        return row


def test_a_forgotten_guest_whose_details_are_still_there_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with gateway(data, split=False) as opened:
        hotel = opened.open_hotel({"DBL": 2})
        booking, _ = opened.book(hotel, 1), opened.book(hotel, 2)
        guest = booking["guest"]["id"]
        change = {"guest": {"name": "Ann of another name"}}
        assert opened.send("PATCH", f"{hotel}/bookings/{booking['id']}", change).status == 200
        opened.act(hotel, booking, "cancel")
        before = row_of(data, guest)
        path = f"{hotel}/guests/{guest}"
        assert opened.send("DELETE", path).status == 202
        wait_until(lambda: opened.get(path).json["erasure"]["done"], SECONDS_MAX)
    report = verified(data)
    assert (report["guests_forgotten"], report["violations"]) == (1, [])
    with closing(sqlite3.connect(data / "partition-0.db")) as db, db:
        first = (
            "UPDATE guests SET salt = ?, details = ? WHERE number = (SELECT min(number) FROM guests WHERE guest = ?)"
        )
        db.execute(first, (*before, guest))  # not the newest version
    assert f"guest {guest} is forgotten, but has details (P13)" in verified(data)["violations"]
