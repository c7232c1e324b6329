"""Damaged data directories are refused or repaired with a message, never served: a sample of what `make torture` tries.

The harness itself must see what is wrong: that is tested first.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from torture import observer
from torture.damages import FLIP, Case, flips, whole_files
from torture.history import files_of
from torture.judge import Verdict, judge
from torture.observer import Observation
from torture.run import Torture
from torture.run import torture as running_torture

FLIPPED, DAMAGED = 6, 4


@pytest.fixture(scope="module")
def torture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Torture]:
    """The harness, with a history of one installation."""
    with running_torture(tmp_path_factory.mktemp("torture"), with_other=False) as opened:
        yield opened


def test_an_older_data_directory_is_not_taken_for_the_undamaged_one(
    torture: Torture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = torture.twin("stopped").answers
    monkeypatch.setattr(observer, "_PATIENCE_SECONDS", 1.0)
    found = torture.observe("earlier", "older", expected)
    assert judge(found, torture.twin("stopped")).verdict is Verdict.WRONG
    differing = {name for name in expected if found.answers.get(name) != expected[name]}
    assert {name.split()[0] for name in differing} >= {"GET", "RETRY", "its", "some"}


def test_the_history_has_something_of_everything(torture: Torture) -> None:
    answers = torture.twin("stopped").answers
    listed = [
        answers[f"GET /v1/hotels/{hotel}/bookings?limit=200"]["body"]["data"] for hotel in ("seaside", "hillside")
    ]
    statuses = {booking["status"] for page in listed for booking in page}
    assert statuses == {"confirmed", "held", "checked_out", "in_house", "released", "cancelled", "no_show"}
    assert answers["GET /v1/dead-letters"]["body"]["data"], "a letter that cannot be sent"
    assert len(answers["GET /v1/hotels/seaside/invoices"]["body"]["data"]) == 3
    assert len(answers["GET /v1/webhooks"]["body"]["data"]) == 2
    assert len(answers["some days later"]["letters"]) > 8


def test_traceback_other_answers_and_unclear_ends_are_wrong() -> None:
    expected = Observation({"GET /": {"status": 200}})
    for found in (
        Observation({"GET /": {"status": 200}}, faults=["a traceback"]),
        Observation({"GET /": {"status": 404}}, warnings=["something is missing"]),
        Observation({"GET /": {"status": 503}}),
        Observation({}, message="it failed", exit_code=2),
        Observation({}, message="two\nlines", exit_code=4),
    ):
        assert judge(found, expected).verdict is Verdict.WRONG
    assert judge(Observation(expected.answers), expected).verdict is Verdict.SAME
    assert judge(Observation(expected.answers, warnings=["made again"]), expected).verdict is Verdict.REBUILT
    assert judge(Observation({}, message="damaged", exit_code=4), expected).verdict is Verdict.REFUSED
    refused = Observation({"GET /": {"status": 503}}, warnings=["cannot be read"])
    assert judge(refused, expected).verdict is Verdict.REFUSED


def test_letters_may_be_missing_where_a_subscriber_is_stalled_and_says_so() -> None:
    def later(letters: list[str], stalled: str | None) -> dict[str, Any]:
        return {"some days later": {"letters": letters, "subscribers": [{"name": "mail", "stalled": stalled}]}}

    expected = Observation(later(["to Ann", "to Bea"], None))
    for letters, stalled, verdict in (
        (["to Ann"], "damaged", Verdict.REFUSED),
        (["to Ann"], None, Verdict.WRONG),
        (["to Ann", "to Ann", "to Bea"], "damaged", Verdict.WRONG),
    ):
        assert judge(Observation(later(letters, stalled), warnings=["damaged"]), expected).verdict is verdict


def test_a_sample_of_damages_is_not_served(torture: Torture) -> None:
    """Of the stopped program, because another undamaged copy to compare with takes three seconds."""
    is_chosen = lambda case: case.data == "stopped"  # noqa: E731
    cases = [*filter(is_chosen, flips(torture.history, 300, 1))][:FLIPPED]
    whole = [*filter(is_chosen, whole_files(torture.history, 1))]
    cases += Random(1).sample(whole, DAMAGED)
    outcomes = [torture.run(case) for case in cases]
    assert not [f"{case}: {reason}" for case, (verdict, reason) in outcomes if verdict is Verdict.WRONG]
    assert {verdict for _, (verdict, _) in outcomes} >= {Verdict.REFUSED, Verdict.SAME}


def test_flips_are_spread_over_all_databases_and_write_ahead_logs(torture: Torture) -> None:
    chosen = flips(torture.history, 1_000, 1)
    folders = [torture.history.data(name) for name in ("stopped", "killed")]
    files = {name for folder in folders for name in files_of(folder) if (folder / name).stat().st_size}
    assert {case.file for case in chosen} == files
    places = {(case.file, case.place) for case in chosen}
    for place in (
        "events: rows",
        "events: inner keys",
        "sqlite_autoindex_events_1: keys",
        "replies: keys",
        "schema: rows",
    ):
        assert ("partition-0.db", place) in places
    assert {("views-0.db", "guests_data: rows"), ("billing.db", "cursors: rows")} <= places


def test_a_case_is_chosen_by_its_name_and_number() -> None:
    case = Case(7, FLIP, "stopped", "views-0.db", "guests_data: rows", 1)
    assert (str(case), case.id) == ("flip stopped/views-0.db: guests_data: rows", "flip-7")
    assert Case(7, "delete", "killed", "*-wal").id == "file-7"


@pytest.mark.slow
def test_a_refused_data_directory_is_refused_by_the_program_in_a_process_too(torture: Torture, tmp_path: Path) -> None:
    (case,) = (each for each in whole_files(torture.history, 1) if str(each) == "delete stopped/partition-0.db")
    assert torture.run(case._replace(number=0)).judgement.verdict is Verdict.REFUSED
