"""The live stream under load: how long after its decision an event reaches whoever listens.

Run by itself, it is the listeners: a process of its own with so many connections, told apart by hotel or all of the
log; on SIGTERM it prints what they heard.
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
ANSWER_MILLISECONDS = 8  # about what an answer takes at half load
STOP_SECONDS_MAX = 30
_EVENT = re.compile(rb'id: (\d+)[.\d]*\ndata: [^\n]*?"time":"([^"]+)"')


class Listener(asyncio.Protocol):
    """One connection. It takes the time of each event that comes in, and sees that none is missing or comes twice."""

    def __init__(self, path: str, whole: bool, delays: list[float]) -> None:
        self.path = path
        self.whole = whole
        self.delays = delays
        self.position = 0
        self.gaps = 0
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Take the time of what came in; what is cut in two waits for its other half."""
        now = time.time()
        data = self.rest + data
        whole, end, self.rest = data.rpartition(b"\n\n")
        for place, told in _EVENT.findall(whole + end):
            position = int(place)
            if position <= self.position or (self.whole and self.position and position != self.position + 1):
                self.gaps += 1
            self.position = position
            self.delays.append(now - datetime.fromisoformat(told.decode()).timestamp())


async def _listen(url: str, count: int, hotels: int) -> None:
    """`count` listeners share the hotels, and hear who books there; one more hears of all who book."""
    loop, delays, stopped = asyncio.get_running_loop(), list[float](), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    target, everyone = urlsplit(url), list[Listener]()
    for number in range(count + 1):
        path = "/v1/events/stream?type=innkeeper.booking.confirmed.*"
        path += f"&hotel=hotel-{number % hotels + 1}" if number < count else ""
        listener = Listener(path, number == count, delays)
        everyone.append(listener)
        await loop.create_connection(lambda one=listener: one, target.hostname, target.port)
    await asyncio.sleep(1)
    print("listening", flush=True)
    await stopped.wait()
    delays.sort()
    told = {"heard": len(delays), "gaps": sum(listener.gaps for listener in everyone)}
    for name, share in (("p50", 0.5), ("p99", 0.99), ("longest", 1)):
        told[name] = round(1_000 * delays[min(int(len(delays) * share), len(delays) - 1)], 1)
    print(json.dumps(told))


def _heard(server: Server, listeners: int, hotels: int, load: Load, pause: int) -> tuple[float, dict[str, float]]:
    """Bookings/s while so many listen, and what they heard."""
    command = [sys.executable, __file__, server.url, "--listeners", str(listeners), "--hotels", str(hotels)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        found = drive(server, "book.lua", (*booking_arguments(hotels), str(pause)), load, pause, warm_up=False)
        time.sleep(1)
        process.terminate()
        told: dict[str, float] = json.loads(process.communicate(timeout=STOP_SECONDS_MAX)[0])
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if told["gaps"]:
        raise RuntimeError(f"the live stream had {told['gaps']} gaps or doubles")
    return found.requests_per_second, told


def stream(bench: Bench) -> None:
    """Commit → client at half load, with a listener for each hotel and one for all; then with very many, gently."""
    with progress(2, "live stream") as bar, running(INNKEEPER, bench.folder / "stream") as server:
        open_hotels(server.url, bench.hotels)
        full = drive(server, "book.lua", booking_arguments(bench.hotels), bench.load, 7).requests_per_second
        pause = max(round(2_000 * bench.load.clients / full) - ANSWER_MILLISECONDS, 1)
        rate, told = _heard(server, bench.hotels, bench.hotels, bench.load, pause)
        _report(bench, f"live stream, {bench.hotels + 1} listeners", rate / full, rate, told, judged=True)
        bar.update()
        gently = Load(bench.load.seconds, max(bench.load.clients // 8, 1))
        rate, told = _heard(server, LISTENERS_MANY, bench.hotels, gently, 80)
        _report(bench, f"live stream, {LISTENERS_MANY + 1:,} listeners", rate / full, rate, told, judged=False)
        bar.update()


def _report(bench: Bench, title: str, share: float, rate: float, told: dict[str, float], judged: bool) -> None:
    bench.report.add(
        f"{title}, at {share:.0%} of full load: decision → client, p99",
        f"≤ {P99_MILLISECONDS_MAX} ms" if judged else "–",
        f"{told['p99']} ms (p50 {told['p50']} ms, longest {told['longest']} ms; {rate:,.0f} bookings/s,"
        f" {told['heard']:,} events received, no gap, no duplicate)",
        told["p99"] <= P99_MILLISECONDS_MAX if judged else None,
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
