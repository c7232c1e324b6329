"""A mail server for tests: a real one (aiosmtpd), in a thread of its own, that answers as it is told."""

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
    """What arrived, by which connections; what to answer, one for each letter, then the usual."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.sessions: list[Session] = []
        self.encrypted: list[bool] = []
        self.recipient_replies: list[str] = []
        self.sender_replies: list[str] = []
        self.letter_replies: list[str] = []
        self.reset_replies: list[str] = []
        self.delay_seconds = 0.0
        self.disconnects_left = 0
        self.port = 0

    async def handle_RSET(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Whether the connection can be used for another letter."""
        return self.reset_replies.pop(0) if self.reset_replies else "250 OK"

    async def handle_MAIL(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        """The sender."""
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.sender_replies.pop(0) if self.sender_replies else "250 OK"

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802
        """The recipient."""
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        answer = self.recipient_replies.pop(0) if self.recipient_replies else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """The letter."""
        answer = self.letter_replies.pop(0) if self.letter_replies else "250 OK"
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            letter = message_from_bytes(envelope.content, policy=default)
            assert isinstance(letter, EmailMessage)
            self.letters.append(letter)
            self.envelopes.append(envelope)
            self.sessions.append(session)
            self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        if self.disconnects_left:
            self.disconnects_left -= 1
            asyncio.get_running_loop().call_later(0.05, server.transport.abort)
        return answer


def _let_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    """Ann's password is `p@ss word`."""
    known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ann", b"p@ss word")
    return AuthResult(success=known, handled=False)


def free_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def smtp_server(
    tls: ssl.SSLContext | None = None, implicit: bool = False, port: int = 0, **more: Any
) -> Iterator[RecordingSmtpServer]:
    """A mail server at a port of this machine, any that is free unless said; `more` goes to aiosmtpd."""
    office = RecordingSmtpServer()
    office.port = port or free_port()
    if more.get("auth_required"):
        more |= {"authenticator": _let_in, "auth_require_tls": more.get("auth_require_tls", True)}
    if implicit:
        controller = Controller(office, hostname="127.0.0.1", port=office.port, ssl_context=tls, **more)
    else:
        controller = Controller(office, hostname="127.0.0.1", port=office.port, tls_context=tls, **more)
    controller.start()
    try:
        yield office
    finally:
        controller.stop()
