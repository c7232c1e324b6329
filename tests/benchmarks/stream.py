"""The live stream under load: the time from the decision on an event until a client receives it.

Run as a program, it is the listeners: connections for one hotel each, and one for all hotels; on SIGTERM it prints the
delays that they measured.
"""

import argparse
import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime
from urllib.parse import urlsplit

from contestants import INNKEEPER, Server, running
from hotels import open_hotels
from load import Load, booking_arguments, drive
from parts import Bench, progress

LISTENERS_MANY = 2_000
P99_MILLISECONDS_MAX = 50
ANSWER_MILLISECONDS = 8  # the approximate latency at half load
STOP_SECONDS_MAX = 30
_EVENT = re.compile(rb'id: (\d+)[.\d]*\ndata: [^\n]*?"time":"([^"]+)"')


class Listener(asyncio.Protocol):
    """One connection. It measures the delay of each event, and counts missing and repeated ones."""

    def __init__(self, path: str, all_hotels: bool, delays: list[float]) -> None:
        self.path = path
        self.all_hotels = all_hotels
        self.delays = delays
        self.position = 0
        self.gaps = 0
        self.incomplete = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Request the stream."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Measure the events in this data; an incomplete event waits for its rest."""
        now = time.time()
        data = self.incomplete + data
        complete, end, self.incomplete = data.rpartition(b"\n\n")
        for number, recorded_at in _EVENT.findall(complete + end):
            position = int(number)
            if position <= self.position or (self.all_hotels and self.position and position != self.position + 1):
                self.gaps += 1
            self.position = position
            self.delays.append(now - datetime.fromisoformat(recorded_at.decode()).timestamp())


async def _listen(url: str, count: int, hotels: int) -> None:
    """`count` listeners get the bookings of one hotel each, in turn; one more gets those of all hotels."""
    loop, delays, stopped = asyncio.get_running_loop(), list[float](), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    target, listeners = urlsplit(url), list[Listener]()
    for number in range(count + 1):
        path = "/v1/events/stream?type=innkeeper.booking.confirmed.*"
        path += f"&hotel=hotel-{number % hotels + 1}" if number < count else ""
        listener = Listener(path, number == count, delays)
        listeners.append(listener)
        await loop.create_connection(lambda one=listener: one, target.hostname, target.port)
    await asyncio.sleep(1)
    print("listening", flush=True)
    await stopped.wait()
    delays.sort()
    result = {"events": len(delays), "gaps": sum(listener.gaps for listener in listeners)}
    for name, share in (("p50", 0.5), ("p99", 0.99), ("longest", 1)):
        result[name] = round(1_000 * delays[min(int(len(delays) * share), len(delays) - 1)], 1)
    print(json.dumps(result))


def _measure(server: Server, listeners: int, hotels: int, load: Load, pause: int) -> tuple[float, dict[str, float]]:
    """Bookings/s with this many listeners, and the delays that they measured."""
    command = [sys.executable, __file__, server.url, "--listeners", str(listeners), "--hotels", str(hotels)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        found = drive(server, "book.lua", (*booking_arguments(hotels), str(pause)), load, pause, warm_up=False)
        time.sleep(1)
        process.terminate()
        result: dict[str, float] = json.loads(process.communicate(timeout=STOP_SECONDS_MAX)[0])
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if result["gaps"]:
        raise RuntimeError(f"the live stream had {result['gaps']} gaps or duplicates")
    return found.requests_per_second, result


def stream(bench: Bench) -> None:
    """Decision → client at half load, with a listener per hotel and one for all; then with many at low load."""
    with progress(2, "live stream") as bar, running(INNKEEPER, bench.folder / "stream") as server:
        open_hotels(server.url, bench.hotels)
        full = drive(server, "book.lua", booking_arguments(bench.hotels), bench.load, 7).requests_per_second
        pause = max(round(2_000 * bench.load.clients / full) - ANSWER_MILLISECONDS, 1)
        rate, result = _measure(server, bench.hotels, bench.hotels, bench.load, pause)
        _report(bench, f"live stream, {bench.hotels + 1} listeners", rate / full, rate, result, has_goal=True)
        bar.update()
        low_load = Load(bench.load.seconds, max(bench.load.clients // 8, 1))
        rate, result = _measure(server, LISTENERS_MANY, bench.hotels, low_load, 80)
        _report(bench, f"live stream, {LISTENERS_MANY + 1:,} listeners", rate / full, rate, result, has_goal=False)
        bar.update()


def _report(bench: Bench, title: str, share: float, rate: float, result: dict[str, float], has_goal: bool) -> None:
    bench.report.add(
        f"{title}, at {share:.0%} of full load: decision → client, p99",
        f"≤ {P99_MILLISECONDS_MAX} ms" if has_goal else "–",
        f"{result['p99']} ms (p50 {result['p50']} ms, longest {result['longest']} ms; {rate:,.0f} bookings/s,"
        f" {result['events']:,} events received, no gap, no duplicate)",
        result["p99"] <= P99_MILLISECONDS_MAX if has_goal else None,
    )


def main() -> None:
    """Listen until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--listeners", type=int, required=True)
    parser.add_argument("--hotels", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(_listen(options.url, options.listeners, options.hotels))


if __name__ == "__main__":
    main()
