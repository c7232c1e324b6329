"""A replay of three years of a real hotel through the gateway accepts exactly the bookings that fit (P2, P4)."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from innkeeper.http.keys import ApiKeys
from support.gateway import gateway as running_gateway
from support.paths import ROOT
from support.server_process import run_to_end

DATA = Path(os.environ.get("INNKEEPER_HISTORIES", ROOT.parent / "shared" / "data"))
HISTORY, ROOMS = DATA / "resort-history.csv", DATA / "resort-rooms.csv"

SMALL_ROOMS = "room_type,rooms\nA,1\n"
SMALL_HISTORY = """booked_on,arrival,departure,room_type,adults,children,rate,outcome,outcome_on
2026-01-01,2026-01-10,2026-01-12,A,2,0,50.00,cancelled,2026-01-05
2026-01-01,2026-01-11,2026-01-13,A,1,0,60.00,checked_out,2026-01-13
2026-01-06,2026-01-11,2026-01-13,A,1,1,70.00,checked_out,2026-01-13
2026-01-07,2026-01-13,2026-01-14,A,1,0,80.00,no_show,2026-01-13
"""


def test_a_replay_of_a_small_history_gives_the_figures_counted_by_hand(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(SMALL_HISTORY)
    (tmp_path / "rooms.csv").write_text(SMALL_ROOMS)
    decisions = tmp_path / "decisions"
    done = run_to_end("replay", tmp_path / "history.csv", "--rooms", tmp_path / "rooms.csv", "--decisions", decisions)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "bookings": 4,
        "accepted": 3,
        "refused": 1,
        "cancelled": 1,
        "no_show": 1,
        "checked_out": 1,
        "room_nights": 2,
        "room_revenue": 140.0,
    }
    assert decisions.read_text() == "Y\nn\nY\nY\n"


def test_a_replay_ignores_the_settings_of_the_real_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "history.csv").write_text(SMALL_HISTORY)
    (tmp_path / "rooms.csv").write_text(SMALL_ROOMS)
    monkeypatch.setenv("INNKEEPER_ARCHIVE", str(tmp_path / "archive"))
    monkeypatch.setenv("INNKEEPER_SMTP", "smtp://127.0.0.1:1")
    monkeypatch.setenv("INNKEEPER_BROKER", "amqp://127.0.0.1:1/")
    done = run_to_end("replay", tmp_path / "history.csv", "--rooms", tmp_path / "rooms.csv")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "archive").exists(), "replayed events would be mixed with real ones"


def test_a_server_that_requires_keys_replays_for_a_client_that_has_one(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text(SMALL_HISTORY)
    (tmp_path / "rooms.csv").write_text(SMALL_ROOMS)
    key = "a-key-that-is-long-enough"
    with running_gateway(tmp_path / "data", ApiKeys({"replay": key})) as gateway:
        url = f"http://127.0.0.1:{gateway.port}"
        replay = ("replay", tmp_path / "history.csv", "--rooms", tmp_path / "rooms.csv", "--url", url)
        refused = run_to_end(*replay)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "set --key or INNKEEPER_KEY" in refused.stderr
        done = run_to_end(*replay, "--key", key)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accepted"] == 3


@pytest.mark.parametrize(
    ("history", "rooms", "message"),
    [
        ("", SMALL_ROOMS, "no column"),
        ("a,b\n1,2\n", SMALL_ROOMS, "no column"),
        (SMALL_HISTORY.replace("2026-01-10", "2026-02-30"), SMALL_ROOMS, "line 2"),
        (SMALL_HISTORY.replace("no_show", "vanished"), SMALL_ROOMS, "line 5"),
        (SMALL_HISTORY.replace("60.00", "much"), SMALL_ROOMS, "line 3"),
        (SMALL_HISTORY, "room_type,rooms\nA,many\n", "rooms.csv"),
        (SMALL_HISTORY, "room_type,rooms\nB,1\n", "A"),
        (None, SMALL_ROOMS, "history.csv"),
    ],
)
def test_a_malformed_history_is_a_usage_error(tmp_path: Path, history: str | None, rooms: str, message: str) -> None:
    if history is not None:
        (tmp_path / "history.csv").write_text(history)
    (tmp_path / "rooms.csv").write_text(rooms)
    done = run_to_end("replay", tmp_path / "history.csv", "--rooms", tmp_path / "rooms.csv")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_a_replay_of_three_years_of_a_real_hotel_gives_the_exact_figures(tmp_path: Path) -> None:
    if "INNKEEPER_HISTORIES" not in os.environ and not HISTORY.exists():
        pytest.skip(f"{HISTORY} is not here; say where it is with INNKEEPER_HISTORIES")
    decisions = tmp_path / "decisions"
    done = run_to_end("replay", HISTORY, "--rooms", ROOMS, "--decisions", decisions, seconds=1_200)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "bookings": 9_916,
        "accepted": 9_763,
        "refused": 153,
        "cancelled": 6_040,
        "no_show": 159,
        "checked_out": 3_564,
        "room_nights": 17_290,
        "room_revenue": 1_522_013.64,
    }
    assert Counter(decisions.read_text().split()) == {"Y": 9_763, "n": 153}
