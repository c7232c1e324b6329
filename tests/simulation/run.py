#!/usr/bin/env python3
"""Simulates many seeds, and prints those with violations: python tests/simulation/run.py --seeds 1-2000"""

import argparse
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulation.simulated_partition import STEPS, SimulatedPartition, SimulationResult
from tqdm import tqdm


def seeds_of(text: str) -> list[int]:
    """`7` or `1-2000` or `3,5,20-30`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def run_seed(seed: int, steps: int = STEPS) -> SimulationResult:
    """Simulate one seed; an error of the program is a violation."""
    try:
        return SimulatedPartition(seed, steps).run()
    except Exception as error:
        return SimulationResult(seed, violations=[f"{type(error).__name__}: {error}"])


def report(results: Iterable[SimulationResult], total: int) -> dict[str, float]:
    """The sums of all results; each one with violations is printed as soon as it ends."""
    sums: dict[str, float] = dict.fromkeys(("seeds", "events", "answers", "refusals", "crashes", "faults"), 0)
    sums["violations"] = 0
    for result in tqdm(results, total=total, unit=" seeds", disable=not sys.stderr.isatty()):
        sums["seeds"] += 1
        for name in ("events", "answers", "refusals", "crashes"):
            sums[name] += getattr(result, name)
        sums["faults"] += result.actor_faults
        sums["violations"] += len(result.violations)
        if result.violations:
            print(f"seed {result.seed} has violations; simulate it again with: make simulate SEEDS={result.seed}")
            for violation in result.violations[:10]:
                print(f"  {violation}")
    return sums


def main() -> int:
    """Exits with 1 if there are violations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=seeds_of, default="1-2000", help="such as 7, or 1-2000, or 3,5,20-30")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes share the work (2)")
    options = parser.parse_args()
    start = monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        sums = report(pool.map(run_seed, options.seeds, chunksize=5), len(options.seeds))
    print(json.dumps({name: int(count) for name, count in sums.items()} | {"seconds": round(monotonic() - start, 1)}))
    return 1 if sums["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
