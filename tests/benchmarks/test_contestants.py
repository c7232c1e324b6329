"""The PostgreSQL contestants of the benchmarks take bookings and sell no room twice."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from benchmarks.contestants import postgres as contestant
from benchmarks.contestants import running
from support.gateway import hotel_request, send, stay_request


@pytest.mark.parametrize("design", ["exclusion", "counters"])
def test_the_last_rooms_go_to_exactly_as_many_guests(
    design: str, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INNKEEPER_BENCH_POSTGRES", postgres)
    with running(contestant(design, 4), tmp_path) as server:  # it checks its tables at its end
        assert len(server.database) == 4
        port = int(server.url.rpartition(":")[2])
        assert send(port, "POST", "/v1/hotels", hotel_request({"DBL": 3}, id="seaside")).status == 201
        with ThreadPoolExecutor(4) as guests:
            replies = guests.map(
                lambda _: send(port, "POST", "/v1/hotels/seaside/bookings", stay_request(10)).status, range(12)
            )
        assert sorted(replies) == [201] * 3 + [409] * 9
