"""Bookings that arrive at random at a steady rate, and a mail server that only takes letters. Each is a process:

python arrivals.py book URL --rate N --seconds N --seed N --hotels N     prints what became of the bookings as JSON
python arrivals.py mail         prints its port, then takes letters until SIGTERM

A closed load (wrk) slows down with the server; this one does not: a booking that finds all connections busy waits, and
its delay counts from its arrival.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections import deque
from random import Random
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import uvloop
from hotels import NIGHTS, ROOM_TYPES, stay

CONNECTIONS = 64
_TICK_SECONDS = 0.001
_REST_SECONDS_MAX = 60


class Connection(asyncio.Protocol):
    """One connection, which sends one booking at a time."""

    def __init__(self, load: "Arrivals") -> None:
        self._load = load
        self._begun = 0.0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is free."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such
        self._load.free.append(self)

    def send(self, request: bytes, arrived: float) -> None:
        """Sends a booking that arrived at this instant."""
        self._begun = arrived
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Notes the response when it is complete."""
        data = self._received = self._received + data
        head, separator, body = data.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._received = b""
        self._load.note(int(head[9:12]), perf_counter() - self._begun)
        self._load.free.append(self)
        self._load.send_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """A lost connection ends the load."""
        if not self._load.is_done:
            self._load.lost += 1


class Arrivals:
    """Bookings that arrive by a Poisson process."""

    def __init__(self, url: str, rate: float, seed: int, hotels: int) -> None:
        self.target = urlsplit(url)
        self.free: deque[Connection] = deque()
        self.delays: list[float] = []
        self.statuses: dict[int, int] = {}
        self.lost = 0
        self.is_done = False
        self._rate = rate
        self._random = Random(seed)
        self._seed = seed
        self._hotels = hotels
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._sent = 0

    def note(self, status: int, delay: float) -> None:
        """Counts a response."""
        self.delays.append(delay)
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def send_waiting(self) -> None:
        """Sends what waits, on the connections that are free."""
        while self.free and self._waiting:
            self.free.popleft().send(*self._waiting.popleft())

    async def run(self, seconds: float) -> None:
        """Sends bookings for so long, then waits for the last responses."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            await loop.create_connection(lambda: Connection(self), self.target.hostname, self.target.port)
        start = perf_counter()
        due = start
        while (now := perf_counter()) < start + seconds and not self.lost:
            while due <= now:
                self._waiting.append((self._request(), due))
                due += self._random.expovariate(self._rate)
            self.send_waiting()
            await asyncio.sleep(_TICK_SECONDS)
        for _ in range(round(_REST_SECONDS_MAX / _TICK_SECONDS)):
            if len(self.delays) == self._sent or self.lost:
                break
            await asyncio.sleep(_TICK_SECONDS)
        self.is_done = True

    def _request(self) -> bytes:
        self._sent += 1
        random = self._random
        guest = f"Guest {self._sent} of {self._seed}"
        booking = stay(guest, random.randrange(NIGHTS), random.randint(1, 3), random.choice(ROOM_TYPES))
        body = json.dumps(booking).encode()
        head = (
            f"POST /v1/hotels/hotel-{random.randint(1, self._hotels)}/bookings HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def result(self) -> dict[str, float]:
        """How many bookings were sent, accepted, refused and not answered, and their delays in ms."""
        delays = sorted(self.delays) or [0.0]
        accepted = self.statuses.get(201, 0)
        return {
            "sent": self._sent,
            "accepted": accepted,
            "refused": len(self.delays) - accepted,
            "unanswered": self._sent - len(self.delays),
            "p50": 1_000 * delays[len(delays) // 2],
            "p99": 1_000 * delays[min(int(len(delays) * 0.99), len(delays) - 1)],
        }


class MailSink(asyncio.Protocol):
    """A mail server that takes every letter, and keeps none; it offers PIPELINING."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not registered as such
        self._received = b""
        self._in_letter = False
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answers every complete command, and every complete letter."""
        data = self._received + data
        answers = []
        while True:
            end, length = (b"\r\n.\r\n", 5) if self._in_letter else (b"\r\n", 2)
            found = data.find(end)
            if found < 0:
                break
            command, data = data[:found][:4].upper(), data[found + length :]
            if self._in_letter:
                self._in_letter = False
                answers.append(b"250 taken\r\n")
            elif command == b"DATA":
                self._in_letter = True
                answers.append(b"354 go on\r\n")
            elif command == b"EHLO":
                answers.append(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
            elif command == b"QUIT":
                answers.append(b"221 bye\r\n")
            else:
                answers.append(b"250 ok\r\n")
        self._received = data
        self._transport.write(b"".join(answers))


async def _take_mail() -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    server = await loop.create_server(MailSink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stopped.wait()
    server.close()


async def _book(options: argparse.Namespace) -> None:
    load = Arrivals(options.url, options.rate, options.seed, options.hotels)
    await load.run(options.seconds)
    print(json.dumps(load.result()))


def main() -> None:
    """Runs either of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("mail")
    book = commands.add_parser("book")
    book.add_argument("url")
    book.add_argument("--rate", type=float, required=True)
    book.add_argument("--seconds", type=float, required=True)
    book.add_argument("--seed", type=int, default=1)
    book.add_argument("--hotels", type=int, default=20)
    options = parser.parse_args()
    uvloop.run(_take_mail() if options.command == "mail" else _book(options))


if __name__ == "__main__":
    sys.exit(main())
