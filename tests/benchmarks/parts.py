"""Benchmarks over HTTP, against real server processes: bookings, contention, availability."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
from contestants import INNKEEPER, ROOT, Contestant, Missing, Server, bare, bare_json, postgres, running
from hotels import FIRST_ARRIVAL, hotel_request, open_hotels, post_all, stay
from load import Load, Round, booking_arguments, drive, ratios
from report import Report
from tqdm import tqdm

LAST_ROOMS = 3
ROOMS_OF_NEARLY_FULL = 100
CLIENTS_AT_ONCE = 1_000
FULL_NIGHTS, FULL_ARRIVALS = 8, 5
LOADED_NIGHTS = 400
STAY_NIGHTS = 7
VERIFY_SECONDS_MAX = 600


class Bench(NamedTuple):
    """The parameters of every part: load and sizes, the folder for data, and the report."""

    load: Load
    rounds: int
    hotels: int
    connections: int
    events: int
    folder: Path
    report: Report


def progress(total: int, what: str) -> "tqdm[None]":
    """A bar on a terminal."""
    return tqdm(total=total, desc=what, unit=" runs", disable=not sys.stderr.isatty(), leave=False)


def bookings(bench: Bench) -> None:
    """Bookings/s of all contestants, in turns."""
    contestants = [
        bare(),
        bare_json(),
        INNKEEPER,
        *(postgres(design, bench.connections) for design in ("exclusion", "counters")),
    ]
    rounds: dict[str, list[Round]] = {contestant.name: [] for contestant in contestants}
    with progress(bench.rounds * len(contestants), "bookings") as bar:
        for number in range(bench.rounds):
            for contestant in contestants[:]:
                try:
                    rounds[contestant.name].append(book_round(bench, contestant, number))
                except Missing as missing:
                    bench.report.note(f"{contestant.title} is left out: {missing}")
                    contestants.remove(contestant)
                bar.update()
    for contestant in contestants:
        bench.report.add_runs(contestant.title, rounds[contestant.name])
    measured = {contestant.name for contestant in contestants}
    for title, name, goal in (
        ("bare aiohttp handler", "bare", None),
        ("bare aiohttp handler, JSON read and written", "bare-json", 0.60),
        ("PostgreSQL, exclusion", "postgres-exclusion", 2.2),
        ("PostgreSQL, counters", "postgres-counters", 1.5),
    ):
        if name in measured:
            found = ratios(rounds["innkeeper"], rounds[name])
            bench.report.at_least(f"durable bookings/s ÷ {title}", goal, found)


def book_round(bench: Bench, contestant: Contestant, number: int) -> Round:
    """One run of bookings against a contestant, with its processor time during the run and after it."""
    folder = bench.folder / f"bookings-{contestant.name}-{number}"
    with running(contestant, folder) as server:
        open_hotels(server.url, bench.hotels)
        found = drive(server, "book.lua", booking_arguments(bench.hotels), bench.load, number)
        before = server.cpu_microseconds()
        if contestant.stores:
            server.wait_until_quiet()
        requests = found.requests_per_second * bench.load.seconds
        found = found._replace(later=(server.cpu_microseconds() - before) / requests)
    if contestant is INNKEEPER and number == bench.rounds - 1:
        verify(folder)
    return found


def verify(data: Path) -> None:
    """Run `verify` on the journal of a round; raises if it finds a violation."""
    command = (sys.executable, str(ROOT / "run.py"), "verify", "--data", str(data))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=VERIFY_SECONDS_MAX)
    if done.returncode != 0:
        raise RuntimeError(f"verify found violations: {done.stdout} {done.stderr}")


def contention(bench: Bench) -> None:
    """A thousand clients book the last rooms at once; and the throughput of a hotel with few rooms left."""
    uncontended, contended, outcomes = [], [], []
    with progress(bench.rounds, "contention") as bar:
        for number in range(bench.rounds):
            with running(INNKEEPER, bench.folder / f"contention-{number}") as server:
                open_hotels(server.url, bench.hotels)
                _open_nearly_full(server, "crowd-1")
                _open_nearly_full(server, "rush-1")
                outcomes.append(asyncio.run(_book_at_once(server.url, "rush-1")))
                uncontended.append(drive(server, "book.lua", booking_arguments(bench.hotels), bench.load, number))
                server.wait_until_quiet()
                arguments = booking_arguments(1, "crowd", ("DBL",), FULL_ARRIVALS)
                contended.append(drive(server, "book.lua", arguments, bench.load, number + 100, warm_up=False))
            bar.update()
    accepted = sorted({tally[201] for tally, _ in outcomes})
    answers = ", ".join(f"{count} × {status}" for status, count in sorted(outcomes[-1][0].items()))
    bench.report.add(
        f"{CLIENTS_AT_ONCE:,} clients book the last {LAST_ROOMS} rooms: bookings",
        f"exactly {LAST_ROOMS}",
        f"{', '.join(map(str, accepted))} ({answers}; all answered in {outcomes[-1][1]:.2f} s)",
        accepted == [LAST_ROOMS],
    )
    bench.report.add_runs("Innkeeper, a hotel with 3 rooms left", contended)
    bench.report.at_least(
        "requests/s for the last rooms ÷ requests/s without contention", 0.9, ratios(contended, uncontended)
    )


def _open_nearly_full(server: Server, hotel: str) -> None:
    """Open a hotel and book all rooms but the last few, for the nights that all clients will request."""
    path, taken = f"/v1/hotels/{hotel}/bookings", range(ROOMS_OF_NEARLY_FULL - LAST_ROOMS)
    opening = ("/v1/hotels", hotel_request(hotel, {"DBL": ROOMS_OF_NEARLY_FULL}))
    post_all(server.url, [opening, *((path, stay(f"Guest {number}", 0, FULL_NIGHTS)) for number in taken)])


async def _book_at_once(url: str, hotel: str) -> tuple[Counter[int], float]:
    """The number of responses by status, and the seconds until all had arrived."""

    async def book(session: aiohttp.ClientSession, number: int) -> int:
        body = stay(f"Client {number}", 0, FULL_NIGHTS)
        async with session.post(f"{url}/v1/hotels/{hotel}/bookings", json=body) as response:
            await response.read()
            return response.status

    limits = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=limits) as session:
        start = perf_counter()
        statuses = await asyncio.gather(*(book(session, number) for number in range(CLIENTS_AT_ONCE)))
        return Counter(statuses), perf_counter() - start


def availability(bench: Bench) -> None:
    """Availability of a hotel with bookings on 400 nights, for a stay of a week and for all nights at once."""
    for nights in (STAY_NIGHTS, LOADED_NIGHTS):
        innkeeper, baseline = _availability_rounds(bench, nights)
        bench.report.add_runs(f"bare GET handler, availability of {nights} nights", baseline)
        bench.report.add_runs(f"Innkeeper, availability of {nights} nights", innkeeper)
        goal = 0.8 if nights == STAY_NIGHTS else None
        name = f"availability ({nights} nights) of a 300-room hotel with bookings on 400 nights ÷ bare GET handler"
        bench.report.at_least(name, goal, ratios(innkeeper, baseline))


def _availability_rounds(bench: Bench, nights: int) -> tuple[list[Round], list[Round]]:
    with ExitStack() as stack, progress(2 * bench.rounds, f"availability, {nights} nights") as bar:
        folder = bench.folder / f"availability-{nights}"
        innkeeper = stack.enter_context(running(INNKEEPER, folder))
        baseline = stack.enter_context(running(bare(nights), folder))
        open_hotels(innkeeper.url, 1)
        brief = Load(2, bench.load.clients)
        drive(innkeeper, "book.lua", booking_arguments(1, nights=LOADED_NIGHTS - 2), brief, 1, warm_up=False)
        innkeeper.wait_until_quiet()
        _check_sizes([_availability_bytes(server, nights) for server in (innkeeper, baseline)])
        arguments = ("hotel-1", str(nights), str(LOADED_NIGHTS + 1 - nights))
        rounds: dict[Server, list[Round]] = {innkeeper: [], baseline: []}
        for number in range(bench.rounds):
            for server, found in rounds.items():
                found.append(drive(server, "availability.lua", arguments, bench.load, number))
                bar.update()
        return rounds[innkeeper], rounds[baseline]


def _availability_bytes(server: Server, nights: int) -> int:
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    departure = FIRST_ARRIVAL + timedelta(days=nights)
    try:
        connection.request("GET", f"/v1/hotels/hotel-1/availability?arrival={FIRST_ARRIVAL}&departure={departure}")
        body = connection.getresponse().read()
        assert "room_types" in json.loads(body), body
        return len(body)
    finally:
        connection.close()


def _check_sizes(sizes: Sequence[int]) -> None:
    """Raises if the sizes of the bodies differ by more than a twentieth."""
    if max(sizes) > 1.05 * min(sizes):
        raise RuntimeError(f"the bodies are not of the same size: {sizes} bytes")
