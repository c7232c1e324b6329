#!/usr/bin/env python3
"""Damages data directories in many ways, and prints what became of it: python tests/torture/run.py --flips 1000"""

import argparse
import logging
import multiprocessing
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from time import monotonic
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
from support.paths import ROOT
from support.server_process import run_to_end
from support.smtp_server import smtp_server
from support.webhook_receiver import webhook_receiver
from torture.damages import FLIP, Case, apply, flips, whole_files
from torture.history import History, copy_data, make_history, read_history
from torture.judge import Judgement, Verdict, judge
from torture.observer import Observation, observe, verify
from tqdm import tqdm

CASES_PER_PROCESS = 100
_CONFIRMED_EACH = 25  # of so many refused cases one is shown to the program in a process of its own
_TWINS = ("stopped", "killed")
_FOLDER = ROOT / "build/torture"


class Outcome(NamedTuple):
    """What became of a case."""

    case: Case
    judgement: Judgement


class Torture:
    """Runs cases on one history. `folder` is where it works; damaged copies that were judged wrong stay there."""

    def __init__(self, history: History, folder: Path) -> None:
        self.history = history
        self.folder = folder
        self._exits = ExitStack()
        self._mail = self._exits.enter_context(smtp_server())
        self.twins: dict[str, Observation] = {}

    def close(self) -> None:
        """Stop the mail server."""
        self._exits.close()

    def twin(self, name: str) -> Observation:
        """The observation of an undamaged data directory. It is made twice, and both times gives the same."""
        if name not in self.twins:
            expected = self.observe(name, f"twin {name}", {})
            again = judge(self.observe(name, f"twin {name} again", expected.answers), expected)
            assert again.verdict is Verdict.SAME, again.reason
            self.twins[name] = expected
        return self.twins[name]

    def observe(self, name: str, copy: str, expected: dict[str, object]) -> Observation:
        """Observe the data directory of this name, in a copy of it; see `observe`."""
        data = self.folder / copy
        copy_data(self.history.data(name), data)
        found = observe(data, self.history, self._mail, expected)
        shutil.rmtree(data)
        return found

    def run(self, case: Case) -> Outcome:
        """Damage a copy, let the program verify it and run on it, and judge."""
        data, kept = self.folder / case.id, self.folder / f"{case.id}-damaged"
        shutil.rmtree(kept, ignore_errors=True)  # of an earlier run on the same history
        copy_data(self.history.data(case.data), kept)
        apply(case, kept, self.history)
        copy_data(kept, data)
        crash = verify(data)
        shutil.rmtree(data)
        copy_data(kept, data)
        expected = self.twin(case.data)
        found = observe(data, self.history, self._mail, expected.answers)
        found.faults += [crash] if crash else []
        judgement = judge(found, expected)
        shutil.rmtree(data)
        if judgement.verdict is Verdict.REFUSED and case.number % _CONFIRMED_EACH == 0 and found.message:
            judgement = _confirmed(kept, judgement, found.exit_code)
        if judgement.verdict is not Verdict.WRONG:
            shutil.rmtree(kept)
        return Outcome(case, judgement)


def _confirmed(data: Path, judgement: Judgement, exit_code: int) -> Judgement:
    """The program in a process of its own refuses the damaged directory in the same way, on one line."""
    ended = run_to_end("demo", "--empty", "--port", "0", "--data", data)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("innkeeper: ")]
    if (ended.returncode, len(lines)) == (exit_code, 1) and "Traceback" not in ended.stderr:
        return judgement
    return Judgement(Verdict.WRONG, f"its process ended with {ended.returncode}: {ended.stderr}")


class Plan(NamedTuple):
    """What the processes need to run cases."""

    history: History
    folder: Path
    twins: dict[str, Observation]


@cache
def _torture(plan_file: Path) -> Torture:
    plan = msgspec.msgpack.decode(plan_file.read_bytes(), type=Plan, dec_hook=lambda kind, text: kind(text))
    torture = Torture(plan.history, plan.folder)
    torture.twins = plan.twins
    return torture


def _run_case(plan_file: Path, case: Case) -> Outcome:
    return _torture(plan_file).run(case)


def run_cases(torture: Torture, cases: list[Case], jobs: int) -> Iterator[Outcome]:
    """Run cases in so many processes, each of which ends after some cases."""
    plan_file = torture.folder / "plan"
    plan = Plan(torture.history, torture.folder, {name: torture.twin(name) for name in _TWINS})
    plan_file.write_bytes(msgspec.msgpack.encode(plan, enc_hook=str))
    context = multiprocessing.get_context("spawn")
    for start in range(0, len(cases), jobs * CASES_PER_PROCESS):
        part = cases[start : start + jobs * CASES_PER_PROCESS]
        with ProcessPoolExecutor(jobs, context) as pool:
            yield from pool.map(_run_case, [plan_file] * len(part), part)


def report(outcomes: Iterable[Outcome], total: int, again: str) -> tuple[Counter[tuple[str, str]], int]:
    """The number of cases by what was damaged and what became of it, and how many were wrong; each of those is printed
    as soon as it ends, with the command that runs it `again`."""
    counts, wrong = Counter[tuple[str, str]](), 0
    for case, judgement in tqdm(outcomes, total=total, unit=" cases", disable=not sys.stderr.isatty()):
        counts[_row(case), str(judgement.verdict)] += 1
        if judgement.verdict is Verdict.WRONG:
            wrong += 1
            print(f"{judgement.verdict}: {case}\n  {judgement.reason}\n  {again} --only {case.id}", file=sys.stderr)
    return counts, wrong


def _row(case: Case) -> str:
    if case.kind != FLIP:
        return case.kind
    return "flip a bit of a write-ahead log" if case.file.endswith("-wal") else f"flip a bit of {case.file}"


def table(counts: Counter[tuple[str, str]]) -> str:
    """The table of figures, as in docs/reliability.md."""
    verdicts = [*map(str, Verdict)]
    lines = [["damage", "tried", *verdicts], ["---"] * (len(verdicts) + 2)]
    rows = {row: [counts[row, verdict] for verdict in verdicts] for row in sorted({row for row, _ in counts})}
    rows["all"] = [sum(column) for column in zip(*rows.values(), strict=True)]
    lines += [[row, str(sum(values)), *map(str, values)] for row, values in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@contextmanager
def torture(folder: Path, made: Path | None = None, with_other: bool = True) -> Iterator[Torture]:
    """The harness in this folder, which exists, with a history made there or before; see `make_history`."""
    history = read_history(made) if made else None
    with webhook_receiver(history.receiver_port if history else 0) as receiver:
        if history is None:
            (folder / "history").mkdir()
            history = make_history(folder / "history", receiver.port, with_other)
        with closing(Torture(history, folder)) as opened:
            yield opened


def main() -> int:
    """Exits with 1 if anything was silently wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=1_000, help="how many bits are flipped (1000)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the bits (1)")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes share the work (2)")
    parser.add_argument("--only", default="*", help="only cases of this id or name, such as flip-7 or 'roll back *'")
    parser.add_argument("--history", type=Path, help="a history that was made before, instead of a new one")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where it works; emptied at the start")
    options = parser.parse_args()
    start, folder = monotonic(), options.folder.absolute()
    logging.getLogger().addHandler(logging.NullHandler())
    if options.history is None:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    again = f"python tests/torture/run.py --history {options.history or folder / 'history'} --seed {options.seed}"
    with torture(folder, options.history) as opened:
        number = int(options.only.removeprefix("flip-")) + 1 if options.only.startswith("flip-") else options.flips
        cases = [*whole_files(opened.history, options.seed), *flips(opened.history, number, options.seed)]
        chosen = [case for case in cases if case.id == options.only or fnmatchcase(str(case), options.only)]
        counts, wrong = report(run_cases(opened, chosen, options.jobs), len(chosen), again)
    print(table(counts))
    print(f"\n{len(chosen)} cases in {monotonic() - start:.0f} s; silently wrong: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
