"""The processor time of one letter, by part: python tests/benchmarks/letters.py [--letters 512] [--rounds 5]

The outbox is a file of SQLite that also holds reminders that are not due; the mail server is a process of its own,
whose time is not counted. Each part is measured alone, several times; the least counts.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parents[1]))

from innkeeper.actors.notifications.outbox_relay import OutboxRelay
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.message import compose
from innkeeper.delivery.email.smtp import SmtpMailTransport, SmtpServer
from innkeeper.protocol.notifications.notices import HotelFacts, Notice, NoticeKind, Recipient, StayFacts
from innkeeper.protocol.ports.outbox import AddressReport, OutboxChanges
from innkeeper.storage.sqlite.service_store import SqliteNotificationStore
from parts import Bench
from support.smtp_server import free_port

LETTER_MICROSECONDS_MAX = 500
ALL_OF_IT = "all of it: the relay, outbox and mail server"
_SENDER = "stay@inn.example"
_LANGUAGES = ("en", "en", "pt", "de")
_KINDS = (NoticeKind.CONFIRMATION, NoticeKind.CONFIRMATION, NoticeKind.REMINDER, NoticeKind.CANCELLATION)
_NAMES = ("Ana Sousa", "Guest {} of {}", "Zoë Müller", "Pat O'Brien")
_FIRST_ARRIVAL = date(2026, 6, 2)
_NOON = 1_780_315_200_000_000
_DAY = 86_400_000_000
_REMINDERS = 10_000
_BATCH = 64


def example_notices(count: int) -> list[Notice]:
    """Notices of twenty hotels, with as many addresses; the prices and dates differ."""
    return [_notice(number) for number in range(count)]


def _notice(number: int) -> Notice:
    hotel = f"hotel-{number % 20}"
    facts = HotelFacts(hotel, f"Seaside Lodge {number % 20}", "Europe/Lisbon", "EUR", "15:00", "11:00")
    arrival, nights = _FIRST_ARRIVAL + timedelta(days=number * 7 % 365), 1 + number % 3
    name = _NAMES[number % 4].format(number, 7)
    stay = StayFacts(
        guest=name,
        room_type="Double with balcony",
        arrival=arrival,
        departure=arrival + timedelta(days=nights),
        adults=2,
        prices=tuple(12_000 + 100 * (number % 97) for _ in range(nights)),
        children=(7,) if number % 5 == 0 else (),
    )
    kind = _KINDS[number % len(_KINDS)]
    more: dict[str, Any] = {"fee": 12_000} if kind is NoticeKind.CANCELLATION else {"free_until": _NOON + number * _DAY}
    return Notice(
        id=f"{hotel}:{number}:{kind.value}",
        kind=kind,
        hotel=facts,
        booking=f"b-{number}",
        locator=f"K{number:05}",
        recipient=Recipient(name, f"guest-{number}@example.com"),
        stay=stay,
        language=_LANGUAGES[number // 4 % len(_LANGUAGES)],
        **more,
    )


class _Sink(asyncio.Protocol):
    """A mail server that accepts every letter. It answers commands that arrive together in one write, as servers do
    that offer pipelining."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greets."""
        self._transport = cast(asyncio.Transport, transport)
        self._received, self._is_text = b"", False
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answers."""
        self._received += data
        replies = b""
        while (end := self._received.find(b"\r\n.\r\n" if self._is_text else b"\r\n")) >= 0:
            command, self._received = self._received[:4], self._received[end + (5 if self._is_text else 2) :]
            replies += b"250 OK\r\n" if self._is_text else _REPLIES.get(command, b"250 OK\r\n")
            self._is_text = command == b"DATA" and not self._is_text
        self._transport.write(replies)


_REPLIES = {b"EHLO": b"250-sink\r\n250-SIZE 33554432\r\n250 PIPELINING\r\n", b"DATA": b"354 Go on\r\n"}


async def serve(port: int) -> None:
    """Runs the mail server until the process ends."""
    server = await asyncio.get_running_loop().create_server(_Sink, "127.0.0.1", port)
    await server.serve_forever()


@contextmanager
def mail_server() -> Iterator[str]:
    """The URL of a mail server in a process of its own."""
    port = free_port()
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(port)])
    try:
        yield f"smtp://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@asynccontextmanager
async def transport_to(url: str, letters: Letters) -> AsyncIterator[SmtpMailTransport]:
    """A transport to this mail server, which has sent one letter."""
    transport = SmtpMailTransport(SmtpServer.parse(url), letters, _SENDER, lambda: _NOON)
    try:
        for attempt in range(100):
            try:
                await _send(transport, [_notice(1)])
                break
            except Exception:
                if attempt == 99:
                    raise
                await asyncio.sleep(0.1)
        yield transport
    finally:
        await transport.close()


async def _send(transport: SmtpMailTransport, notices: list[Notice]) -> None:
    def settle(_: Notice, error: Exception | None) -> None:
        if error is not None:
            raise error

    await transport(notices, settle)


@contextmanager
def outbox_with(notices: list[Notice]) -> Iterator[SqliteNotificationStore]:
    """An outbox with these notices, and with many that are not due."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteNotificationStore(Path(folder) / "notifications.db", "mail", Path(folder) / "changes")
        later = [_later(number) for number in range(_REMINDERS)]
        store.outbox.store(OutboxChanges(notices=later[: _REMINDERS // 2]))
        store.outbox.store(OutboxChanges(notices=notices))
        store.outbox.store(OutboxChanges(notices=later[_REMINDERS // 2 :]))
        try:
            yield store
        finally:
            store.close()


def _later(number: int) -> Notice:
    facts = HotelFacts("hotel", "Seaside", "Europe/Lisbon", "EUR", "15:00", "11:00")
    stay = StayFacts(guest="Ann", room_type="Double", arrival=_FIRST_ARRIVAL, departure=_FIRST_ARRIVAL, adults=1,
                     prices=())  # fmt: skip
    return Notice(id=f"later-{number}", kind=NoticeKind.REMINDER, hotel=facts, booking=f"later-{number}", locator="L",
                  recipient=Recipient("Ann", f"l-{number}@example.com"), stay=stay, due_at=_NOON + _DAY)  # fmt: skip


class LetterParts:
    """The parts of a letter's way, each measured as processor microseconds for each letter."""

    def __init__(self, letters: int, rounds: int) -> None:
        self._notices = example_notices(letters)
        self._rounds = rounds
        self._letters = Letters(None)
        self._written = [
            (notice, self._letters.write(notice)) for notice in self._notices
        ]  # templates are compiled once

    def run(self) -> dict[str, float]:
        """Measures all parts: the least of several rounds."""
        found = {"reference: a fixed piece of Python, to compare runs": 1e6 * min(
            _processor_seconds(_reference) for _ in range(10 * self._rounds)
        )}  # fmt: skip
        with mail_server() as url:
            for name, work in (
                ("render: the words of a letter, text and HTML", self._render),
                ("MIME: the message as bytes", self._compose),
                ("render, MIME and SMTP, in batches", lambda: asyncio.run(self._smtp(url))),
                ("outbox: find what is due, mark it sent", self._outbox),
                (ALL_OF_IT, lambda: asyncio.run(self._relay(url))),
            ):
                found[name] = min(work() for _ in range(self._rounds)) / len(self._notices) * 1e6
        return found

    def _render(self) -> float:
        return _processor_seconds(lambda: [self._letters.write(notice) for notice in self._notices])

    def _compose(self) -> float:
        return _processor_seconds(lambda: [compose(*written, _SENDER, _NOON) for written in self._written])

    async def _smtp(self, url: str) -> float:
        async with transport_to(url, self._letters) as transport:
            start = time.process_time()
            for first in range(0, len(self._notices), _BATCH):
                await _send(transport, self._notices[first : first + _BATCH])
            return time.process_time() - start

    def _outbox(self) -> float:
        with outbox_with(self._notices) as store:
            start = time.process_time()
            while due := store.outbox.due(_NOON, _BATCH):
                store.outbox.mark_sent([one.notice.id for one in due])
            return time.process_time() - start

    async def _relay(self, url: str) -> float:
        async with transport_to(url, self._letters) as transport:
            with outbox_with(self._notices) as store:
                relay = OutboxRelay(
                    "mail", store.outbox, transport, store.sync, _report_nothing, lambda _: 10, lambda: _NOON
                )
                start = time.process_time()
                while await relay.step():
                    pass
                return time.process_time() - start


async def _report_nothing(_: AddressReport) -> None:
    """No address refuses letters here."""


def letters(bench: Bench) -> None:
    """The parts of a letter's way, in a process of its own."""
    command = [sys.executable, __file__, "--json", "--rounds", str(bench.rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    for name, microseconds in json.loads(done.stdout).items():
        is_whole = name == ALL_OF_IT
        bench.report.add(
            f"a letter, {name}" if not name.startswith("reference") else name,
            f"≤ {LETTER_MICROSECONDS_MAX} µs" if is_whole else "–",
            f"{microseconds:,.0f} µs of processor time",
            microseconds <= LETTER_MICROSECONDS_MAX if is_whole else None,
        )


def _processor_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _reference() -> None:
    sum(len(str(number)) for number in range(2_000))


def main() -> None:
    """Measures, or serves as the mail server."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--letters", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
    else:
        found = LetterParts(options.letters, options.rounds).run()
        for name, microseconds in {} if options.json else found.items():
            print(f"{name:<52}{microseconds:>8,.0f} µs")
        if options.json:
            print(json.dumps(found))


if __name__ == "__main__":
    main()
