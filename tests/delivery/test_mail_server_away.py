"""A mail server that is away for a day, in whatever way: no letter is lost, none comes twice, and those to one address
come in their order, once it is back. The day is of the relay's clock; the server and the connections are real."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from innkeeper.actors.notifications.outbox_relay import OutboxRelay
from innkeeper.delivery.backoff import delay_seconds
from innkeeper.delivery.email.message import digest
from innkeeper.delivery.email.smtp import SmtpMailTransport, SmtpServer
from innkeeper.protocol.notifications.notices import Recipient
from innkeeper.protocol.ports.outbox import AddressReport, OutboxChanges
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.outbox import MemoryOutbox
from support.certificates import loopback_certificate
from support.example_notices import NOON, notice
from support.mail_delivery import LETTERS, SENDER
from support.smtp_server import free_port, smtp_server

HOUR = 3_600 * 1_000_000
ADDRESSES = "ann@example.com", "bo@example.com"
HOURS = 24
SECONDS_MAX = 0.2
BACK_SECONDS_MAX = 60  # so that no letter is sent again because this machine is slow

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Relay:
    """A relay with an outbox, and a transport to a mail server, at the hour that a test says."""

    def __init__(self, url: str, trust: Any) -> None:
        self.now = NOON
        self.outbox = MemoryOutbox(MemoryDatabase(), "mail")
        self.decided = 0
        self.stalls = 0
        self._url = url
        self._trust = trust
        self.wait_at_most(SECONDS_MAX)

    def wait_at_most(self, seconds: float) -> None:
        """Connect anew, and wait at most so long for a reply."""
        self.transport = SmtpMailTransport(
            SmtpServer.parse(self._url), LETTERS, SENDER, lambda: self.now, connect_seconds_max=seconds * 2,
            command_seconds_max=seconds, text_seconds_max=seconds, trust=self._trust,
        )  # fmt: skip
        self._relay = OutboxRelay(
            "mail", self.outbox, self.transport, self._sync, self._report, lambda n: delay_seconds(n, 0.5),
            lambda: self.now,
        )  # fmt: skip

    async def _sync(self) -> None:
        """It is in memory."""

    async def _report(self, report: AddressReport) -> None:
        raise AssertionError(f"no address refuses letters: {report}")

    def decide_letters(self) -> None:
        """Decide on a letter to each address."""
        new = [
            notice(id=f"{self.decided + number:06}", recipient=Recipient("Guest", address), useful_until=NOON * 2)
            for number, address in enumerate(ADDRESSES)
        ]
        self.decided += len(new)
        self.outbox.store(OutboxChanges(notices=new))

    async def try_now(self) -> None:
        """Take steps as long as there is work, or until the server is away."""
        try:
            while await self._relay.step():
                pass
        except Stalled:
            self.stalls += 1

    async def send_all(self) -> None:
        """Take steps until all is sent; the clock moves on to what is due."""
        while (due_at := self._relay.due_at()) is not None:
            self.now = max(self.now, due_at)
            await self.try_now()


@asynccontextmanager
async def talking(port: int, talk: Talk) -> AsyncIterator[None]:
    """A server at this port that talks like this on each connection."""
    tasks = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
            await asyncio.Event().wait()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def says_nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Accepts connections, and is silent."""


async def greets_slowly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greets byte by byte, and never ends."""
    while True:
        writer.write(b"2")
        await asyncio.sleep(SECONDS_MAX / 2)


async def hangs_after_the_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes a letter, and never says whether it has it."""
    writer.write(b"220 here\r\n")
    while (line := await reader.readline()).strip() != b"DATA":
        if not line:
            return
        writer.write(b"250 OK\r\n")
    writer.write(b"354 go on\r\n")
    await reader.readuntil(b"\r\n.\r\n")


async def hangs_at_the_recipient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Is silent from the recipient on."""
    writer.write(b"220 here\r\n")
    while (line := await reader.readline()) and not line.startswith(b"RCPT"):
        writer.write(b"250 OK\r\n")


async def answers_busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Has no time for anybody."""
    writer.write(b"421 too busy\r\n")
    await reader.read()


TALKS = {
    "it says nothing": says_nothing, "it greets slowly": greets_slowly, "it hangs after the text": hangs_after_the_text,
    "it hangs at the recipient": hangs_at_the_recipient, "it is too busy": answers_busy,
}  # fmt: skip
AWAY = [*TALKS, "refused", "no DNS", "no TLS", "a wrong certificate", "wrong credentials", "451 to everything"]


@contextmanager
def without_dns(monkeypatch: pytest.MonkeyPatch) -> Any:
    """No name can be looked up."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", fail)
        yield


def reject(*_: object) -> AuthResult:
    return AuthResult(success=False, handled=False)


@pytest.mark.slow
@pytest.mark.parametrize("away", AWAY)
def test_a_day_without_the_mail_server_loses_no_letter(
    away: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    is_encrypted = away in ("no TLS", "a wrong certificate", "wrong credentials")
    server_tls, trust = loopback_certificate(tmp_path) if is_encrypted else (None, None)
    (tmp_path / "other").mkdir()
    other_tls, _ = loopback_certificate(tmp_path / "other") if away == "a wrong certificate" else (None, None)
    away_tls = server_tls if away == "wrong credentials" else other_tls
    port, credentials = free_port(), "ann:p%40ss%20word@" if away == "wrong credentials" else ""
    host = "localhost" if away == "no DNS" else "127.0.0.1"
    query = "?starttls=required" if server_tls else ""
    with_password: dict[str, Any] = {"auth_required": True} if credentials else {}

    async def day(relay: Relay) -> None:
        for _ in range(HOURS):
            relay.decide_letters()
            await relay.try_now()
            relay.now += HOUR

    async def run() -> None:
        relay = Relay(f"smtp://{credentials}{host}:{port}{query}", trust)
        if away in TALKS:
            async with talking(port, TALKS[away]):
                await day(relay)
        elif away == "no DNS":
            with without_dns(monkeypatch):
                await day(relay)
        elif away == "refused":
            await day(relay)
        else:
            more = with_password | ({"authenticator": reject} if credentials else {})
            with smtp_server(away_tls, port=port, **more) as server:
                if away == "451 to everything":
                    server.recipient_replies = ["451 no disk"] * 1_000
                await day(relay)
                assert server.letters == []
        assert relay.stalls >= (0 if away == "451 to everything" else HOURS / 2)
        assert relay.outbox.dead_letters() == []
        await relay.transport.close()
        relay.wait_at_most(BACK_SECONDS_MAX)
        with smtp_server(server_tls, port=port, **with_password) as server:
            await relay.send_all()
            await relay.transport.close()
        arrived: dict[str, list[str]] = {address: [] for address in ADDRESSES}
        for one in server.envelopes:
            arrived[one.rcpt_tos[0]].append(re.findall(rb"Message-ID: <(\S+)@", one.content)[0].decode())  # type: ignore[arg-type]
        expected = [digest(notice(id=f"{number:06}")) for number in range(relay.decided)]
        assert arrived == {address: expected[place::2] for place, address in enumerate(ADDRESSES)}
        assert relay.now <= NOON + 3 * 24 * HOUR

    asyncio.run(run())
