"""A mail server for tests: a real one (aiosmtpd) in its own thread, with given replies."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session


class RecordingSmtpServer:
    """Records letters and their connections. Each list of replies is used first, one per letter, and then 250."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.sessions: list[Session] = []
        self.encrypted: list[bool] = []
        self.recipients: list[str] = []  # also those that were refused
        self.recipient_replies: list[str] = []
        self.replies_to: dict[str, list[str]] = {}  # to these recipients, before those
        self.text_replies_to: dict[str, list[str]] = {}  # to letters to these recipients
        self.sender_replies: list[str] = []
        self.letter_replies: list[str] = []
        self.reset_replies: list[str] = []
        self.delay_seconds = 0.0
        self.disconnects_left = 0
        self.breaks_after: list[int] = []  # the connection breaks at a letter, after so many letters before it
        self.pipelines = False
        self.port = 0

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, hostname: str, replies: list[str]
    ) -> list[str]:
        """The extensions that the server offers."""
        session.host_name = hostname
        return [*replies[:-1], "250-PIPELINING", replies[-1]] if self.pipelines else replies

    async def handle_RSET(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """The reply to RSET."""
        return self.reset_replies.pop(0) if self.reset_replies else "250 OK"

    async def handle_MAIL(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        """The reply to the sender."""
        answer = self.sender_replies.pop(0) if self.sender_replies else "250 OK"
        if answer.startswith("250"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        """The reply to the recipient."""
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        replies = self.replies_to.get(address) or self.recipient_replies
        answer = replies.pop(0) if replies else "250 OK"
        self.recipients.append(address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """The reply to the letter."""
        replies = self.text_replies_to.get(envelope.rcpt_tos[0]) or self.letter_replies
        answer = replies.pop(0) if replies else "250 OK"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            letter = message_from_bytes(envelope.content, policy=default)
            assert isinstance(letter, EmailMessage)
            self.letters.append(letter)
            self.envelopes.append(envelope)
            self.sessions.append(session)
            self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        if self.breaks_after and len(self.letters) > self.breaks_after[0]:
            self.breaks_after.pop(0)
            server.transport.abort()  # the client does not learn that the letter was accepted
        if self.disconnects_left:
            self.disconnects_left -= 1
            asyncio.get_running_loop().call_later(0.05, server.transport.abort)
        return answer


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    """Only the user `ann` with the password `p@ss word` is accepted."""
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ann", b"p@ss word")
    return AuthResult(success=known, handled=False)


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def smtp_server(
    tls: ssl.SSLContext | None = None, implicit: bool = False, port: int = 0, pipelines: bool = False, **more: Any
) -> Iterator[RecordingSmtpServer]:
    """A mail server on this port, or on a free one; `more` goes to aiosmtpd."""
    server = RecordingSmtpServer()
    server.pipelines = pipelines
    server.port = port or free_port()
    if more.get("auth_required"):
        more = {"authenticator": _authenticate, "auth_require_tls": True} | more
    if implicit:
        controller = Controller(server, hostname="127.0.0.1", port=server.port, ssl_context=tls, **more)
    else:
        controller = Controller(server, hostname="127.0.0.1", port=server.port, tls_context=tls, **more)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
