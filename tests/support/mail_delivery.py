"""Sends notices to a mail server with the real transport, and says what became of each."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.smtp import SmtpMailTransport, SmtpServer
from innkeeper.protocol.notifications.notices import Notice, Recipient
from innkeeper.protocol.ports.outbox import SendFailed
from support.example_notices import NOON, notice
from support.smtp_server import RecordingSmtpServer

LETTERS = Letters(None)
SENDER = "stay@inn.example"


def send(url: str, *notices: Notice, **more: Any) -> None:
    """Send these notices with one transport; raises the first error."""

    async def work(transport: SmtpMailTransport) -> None:
        await deliver(transport, *notices)

    with_transport(url, work, **more)


async def settled(transport: SmtpMailTransport, *notices: Notice) -> dict[str, Exception | None]:
    """Send these notices as one batch; what became of each, by id, in the order in which it was known."""
    found: dict[str, Exception | None] = {}

    def settle(notice: Notice, error: Exception | None) -> None:
        assert notice.id not in found
        found[notice.id] = error

    await transport(notices, settle)
    return found


async def deliver(transport: SmtpMailTransport, *notices: Notice) -> None:
    """Send these notices as one batch; raises the first error."""
    for error in (await settled(transport, *notices)).values():
        if error is not None:
            raise error


def with_transport(url: str, work: Callable[[SmtpMailTransport], Awaitable[None]], **more: Any) -> None:
    """Do this work with a transport, which has one connection only unless another patience is given."""

    async def run() -> None:
        patient: dict[str, Any] = {"connect_seconds_max": 60, "command_seconds_max": 60, "patience_seconds": 600}
        limits = patient | more
        transport = SmtpMailTransport(SmtpServer.parse(url), LETTERS, SENDER, lambda: NOON, **limits)
        try:
            await work(transport)
        finally:
            await transport.close()

    asyncio.run(run())


def failure(url: str, one: Notice | None = None, **more: Any) -> SendFailed:
    """The error with which a notice cannot be sent."""
    with pytest.raises(SendFailed) as caught:
        send(url, one or notice(), **more)
    return caught.value


def verdict(error: SendFailed) -> str:
    return {(False, True): "away", (True, False): "for good", (False, False): "later"}[
        error.permanent, error.unreachable
    ]


def letters(count: int) -> list[Notice]:
    """Notices to as many addresses; their ids are their numbers."""
    return [notice(id=str(number), recipient=Recipient("Ann", f"ann-{number}@example.com")) for number in range(count)]


def url(server: RecordingSmtpServer, query: str = "") -> str:
    return f"smtp://127.0.0.1:{server.port}{query}"
