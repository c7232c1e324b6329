#!/usr/bin/env python3
"""Lives through many seeds, and says which of them broke a promise: python tests/simulation/run.py --seeds 1-2000"""

import argparse
import json
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulation.world import STEPS, Life, World
from tqdm import tqdm


def seeds_of(text: str) -> list[int]:
    """`7` or `1-2000` or `3,5,20-30`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def live(seed: int, steps: int = STEPS) -> Life:
    """One seed's whole life; an error of the house is a violation like any other."""
    try:
        return World(seed, steps).live()
    except Exception as error:
        return Life(seed, violations=[f"{type(error).__name__}: {error}"])


def told(lives: Iterable[Life], total: int) -> dict[str, float]:
    """The sum of all lives; each one that broke a promise is printed as soon as it is over."""
    sums: dict[str, float] = dict.fromkeys(("seeds", "events", "answers", "refusals", "crashes", "faults"), 0)
    sums["violations"] = 0
    for life in tqdm(lives, total=total, unit=" seeds", disable=not sys.stderr.isatty()):
        sums["seeds"] += 1
        for name in ("events", "answers", "refusals", "crashes"):
            sums[name] += getattr(life, name)
        sums["faults"] += life.mishaps
        sums["violations"] += len(life.violations)
        if life.violations:
            print(f"seed {life.seed} broke promises; live it again with: make simulate SEEDS={life.seed}")
            for violation in life.violations[:10]:
                print(f"  {violation}")
    return sums


def main() -> int:
    """Ends with 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=seeds_of, default="1-2000", help="such as 7, or 1-2000, or 3,5,20-30")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes share the work (2)")
    options = parser.parse_args()
    start = monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        sums = told(pool.map(live, options.seeds, chunksize=5), len(options.seeds))
    print(json.dumps({name: int(count) for name, count in sums.items()} | {"seconds": round(monotonic() - start, 1)}))
    return 1 if sums["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
