"""Benchmarks inside one process: recovery, memory, reshuffles; and bookings/s with a large journal."""

import json
import subprocess
import sys
from pathlib import Path

import reshuffle as reshuffling
from contestants import HERE, INNKEEPER, running
from hotels import open_hotels
from load import booking_arguments, drive, ratios
from parts import Bench, progress

RECOVERY_EVENTS_OF_THE_GOAL = 1_000_000
TAIL_BOOKINGS = 10_000
MEMORY_BOOKINGS_MAX = 200_000
RESHUFFLES = 2_000
PARTITION_SECONDS_MAX = 3_600


def partition(measure: str, hotels: int, folder: Path, bookings: int = 0) -> dict[str, float]:
    """The result of partition.py for this measure."""
    command = [sys.executable, str(HERE / "partition.py"), measure, "--hotels", str(hotels)]
    command += ["--folder", str(folder), "--bookings", str(bookings)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=PARTITION_SECONDS_MAX)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def journal(bench: Bench) -> None:
    """Recovery with and without snapshots, and bookings/s on the journal that was recovered."""
    data, hotels = bench.folder / "journal", bench.hotels
    partition("write", hotels, data, bench.events)
    cold = partition("recover", hotels, data)
    partition("snapshot", hotels, data)
    partition("write", hotels, data, min(TAIL_BOOKINGS, bench.events // 10))
    warm = partition("recover", hotels, data)
    full_size = bench.events >= RECOVERY_EVENTS_OF_THE_GOAL
    goals = ("≤ 10 s", "≤ 2 s") if full_size else ("≤ 10 s for 1,000,000", "≤ 2 s for 1,000,000")
    bench.report.add(
        f"recovery of {cold['events']:,} events without snapshots, whole chain checked",
        goals[0],
        f"{cold['seconds']:.2f} s until a hotel has answered, {cold['all_seconds']:.1f} s more until all are loaded",
        cold["seconds"] <= 10 if full_size else None,
    )
    bench.report.add(
        f"recovery of {warm['position']:,} events from snapshots and the last {warm['events']:,} events",
        goals[1],
        f"{warm['seconds']:.2f} s until a hotel has answered, {warm['all_seconds']:.1f} s more until all are loaded",
        warm["seconds"] <= 2 if full_size else None,
    )
    _large_journal(bench, data)


def _large_journal(bench: Bench, data: Path) -> None:
    empty, large = [], []
    arguments = booking_arguments(bench.hotels)
    with progress(2 * bench.rounds, "large journal") as bar:
        for number in range(bench.rounds):
            with running(INNKEEPER, bench.folder / f"journal-empty-{number}") as server:
                open_hotels(server.url, bench.hotels)
                server.wait_until_quiet()
                empty.append(drive(server, "book.lua", arguments, bench.load, number))
            bar.update()
            with running(INNKEEPER, data) as server:
                server.wait_until_quiet()
                large.append(drive(server, "book.lua", arguments, bench.load, number + 1_000))
            bar.update()
    title = f"Innkeeper, {bench.events:,} bookings in the journal"
    bench.report.add_runs(title, large)
    full_size = bench.events >= RECOVERY_EVENTS_OF_THE_GOAL
    bench.report.at_least(
        f"bookings/s with {bench.events:,} bookings in the journal ÷ with none",
        0.95 if full_size else None,
        ratios(large, empty),
    )


def memory(bench: Bench) -> None:
    """Memory of a live booking, in a host without a journal."""
    result = partition("memory", bench.hotels, bench.folder, min(bench.events, MEMORY_BOOKINGS_MAX))
    kilobytes = result["bytes_per_booking"] / 1_000
    bench.report.add(
        f"memory per live booking of 2 nights with a tax ({result['bookings']:,.0f} of them)",
        "≤ 1.8 kB",
        f"{kilobytes:.2f} kB",
        kilobytes <= 1.8,
    )


def reshuffle(bench: Bench) -> None:
    """The duration of a decision that moves guests to other rooms."""
    for hotel, text in (("booked", "filled by bookings"), ("scattered", "only scattered single nights free")):
        found = reshuffling.measure(hotel, RESHUFFLES)
        bench.report.add(
            f"reshuffle at {reshuffling.ROOMS} rooms, {found.occupancy:.0%} full, {text}: p99",
            "≤ 5 ms",
            f"{found.p99:.1f} ms (p50 {found.p50:.1f} ms, longest {found.longest:.1f} ms;"
            f" {found.moves:.1f} guests move on average, {found.refused:.1%} refused)",
            found.p99 <= 5,
        )
