"""Snapshots that cannot be saved at the stop, because their place in the journal is damaged, are said on one line:
everything that was acknowledged is on disk."""

from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.gateway import hotel_request, send
from support.server_process import ServerProcess
from torture.places import places_of

PAGE_BYTES = 4_096


def open_hotel(server: ServerProcess, name: str) -> None:
    """Open a hotel, and wait for billing."""
    port = urlsplit(server.url).port or 0
    assert send(port, "POST", "/v1/hotels", hotel_request({"DBL": 1}, id=name)).status == 201
    assert send(port, "GET", f"/v1/hotels/{name}/ledger").status == 200


@pytest.mark.parametrize("journal", ["partition-0.db", "billing-0.db"])
def test_snapshots_that_cannot_be_saved_at_the_stop_are_said(journal: str, tmp_path: Path) -> None:
    with closing(ServerProcess(tmp_path / "data")) as server:
        open_hotel(server, "first")
        assert server.stop()[0] == 0
        file = server.data / journal
        (header,) = places_of(file)["sqlite_autoindex_snapshots_1: header of keys"]
        content = bytearray(file.read_bytes())
        start = header.start - header.start % PAGE_BYTES
        content[start : start + PAGE_BYTES] = bytes(PAGE_BYTES)
        file.write_bytes(content)
        server.start_again()
        open_hotel(server, "second")
        _, output = server.stop()
        assert "Traceback" not in output
        assert f"{journal}: it cannot be read" in output
        server.start_again()
        port = urlsplit(server.url).port or 0
        assert [hotel["id"] for hotel in send(port, "GET", "/v1/hotels").json["data"]] == ["first", "second"]
