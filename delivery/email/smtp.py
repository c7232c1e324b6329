"""The transport that sends letters to a mail server.

The server is the hotel's own or its provider's. A refusal of one letter concerns only that letter, for now or for good.
Where the server does not answer, rejects the credentials or rejects the sender's address, no letter can be sent, and
the transport is reported as unavailable.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from typing import Literal, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.mail_transport import compose, mailbox
from innkeeper.delivery.email.wording import clean
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.ports.outbox import SendFailed
from innkeeper.protocol.values.email_address import sender_address
from innkeeper.protocol.values.limits import letters_at_once_max

_PORTS = {"smtp": 25, "smtps": 465}
_SUBMISSION_PORT = 587
_IDLE_SECONDS_MAX = 60
_ERROR_CHARACTERS_MAX = 300
_CLOSING = 421
_TOO_LARGE = 552
_CREDENTIALS_REJECTED = {530, 534, 535, 538}  # RFC 4954: other credentials, or encryption, are required


class SmtpServer(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server and how to connect to it. `tls` is `implicit` (from the first byte), `required` (STARTTLS, or no
    connection), `offered` (STARTTLS where the server offers it) or `never`."""

    host: str
    port: int
    tls: Literal["implicit", "required", "offered", "never"] = "offered"
    user: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, url: str) -> "SmtpServer":
        """Parses `smtp://user:password@host:port`, or `smtps://…` for TLS from the first byte. `?starttls=required` or
        `never` overrides the default: STARTTLS where it is offered, and always before a password is sent over a
        network. Raises ValueError, whose text does not contain the password."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError("the mail server's URL has an invalid host or port") from error
        scheme, host = parts.scheme, parts.hostname
        if scheme not in _PORTS:
            raise ValueError("the mail server's URL must begin with smtp:// or smtps://")
        if not host or port == 0 or parts.path not in ("", "/") or parts.fragment:
            raise ValueError(f"the mail server's URL must have the form {scheme}://user:password@host:port")
        if any(character.isspace() or not character.isprintable() for character in unquote(host)):
            raise ValueError("the mail server's host has characters that are not allowed in a host name")
        user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
        if (not user) != (not password):
            raise ValueError("the mail server's URL must have both a user and a password, or neither")
        starttls = _starttls(scheme, parts.query)
        if scheme == "smtps":
            return cls(host=host, port=port or _PORTS[scheme], tls="implicit", user=user or None, password=password)
        default: Literal["required", "offered"] = "required" if user and not _is_loopback(host) else "offered"
        port = port or (_SUBMISSION_PORT if user else _PORTS[scheme])
        return cls(host=host, port=port, tls=starttls or default, user=user or None, password=password)

    def __repr__(self) -> str:
        return f"{self.host}:{self.port}"


def _starttls(scheme: str, query: str) -> Literal["required", "never"] | None:
    match parse_qsl(query, keep_blank_values=True):
        case []:
            return None
        case [("starttls", "required" | "never" as starttls)] if scheme == "smtp":
            return starttls
    raise ValueError(
        "the mail server's URL may end only in ?starttls=required or ?starttls=never, and only with smtp://"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class SmtpMailTransport:
    """A `SendNotice` that sends letters by SMTP. `clock` gives microseconds since 1970 UTC; `trust` holds the trusted
    certificate authorities, by default the system's. It reuses connections. To be used and closed within one event
    loop."""

    def __init__(
        self,
        server: SmtpServer,
        letters: Letters,
        sender: str,
        clock: Callable[[], int],
        *,
        connect_seconds_max: float = 10,
        command_seconds_max: float = 30,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._letters = letters
        self._sender = mailbox(sender, parse=sender_address).addr_spec
        self._clock = clock
        self._connect_seconds_max = connect_seconds_max
        self._command_seconds_max = command_seconds_max
        self._trust = trust
        self._idle: list[tuple[SMTP, float]] = []
        self._slots = asyncio.Semaphore(letters_at_once_max)

    async def __call__(self, notice: Notice) -> None:
        """See `protocol.ports.outbox.SendNotice`."""
        letter = await asyncio.to_thread(self._letters.write, notice)
        try:
            message = compose(notice, letter, self._sender, self._clock())
            to = mailbox(notice.recipient.email).addr_spec
        except ValueError as error:
            raise SendFailed(str(error), permanent=True) from error
        options = [] if (self._sender + to).isascii() else ["SMTPUTF8"]
        async with self._slots:
            connection = await self._connection()
            try:
                await connection.sendmail(self._sender, [to], message.as_bytes(), mail_options=options)
            except (SMTPException, OSError, ValueError) as error:
                self._put_back(connection)
                raise self._cannot_send(error) from error
            except asyncio.CancelledError:
                connection.close()  # it is unknown how much was sent
                raise
            self._put_back(connection)

    async def close(self) -> None:
        """Closes the idle connections; to be called when nothing is being sent."""
        while self._idle:
            await self._quit(self._idle.pop()[0])

    async def _connection(self) -> SMTP:
        """A working connection: an idle one that still answers, or a new one."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, since = self._idle.pop()
            if now - since > _IDLE_SECONDS_MAX:
                await self._quit(connection)
            elif connection.is_connected:
                with suppress(SMTPException, OSError):
                    await connection.rset(timeout=self._connect_seconds_max)
                    return connection
                connection.close()
        try:
            return await self._connect()
        except (SMTPException, OSError, ValueError) as error:
            raise SendFailed(f"{self._server!r} cannot be reached: {_error_text(error)}", unreachable=True) from error

    async def _connect(self) -> SMTP:
        server = self._server
        connection = SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls == "implicit",
            start_tls={"implicit": False, "never": False, "required": True, "offered": None}[server.tls],
            validate_certs=not (server.tls == "offered" and _is_loopback(server.host)),  # loopback is safe
            tls_context=self._trust,
            timeout=self._command_seconds_max,
        )
        await connection.connect(timeout=self._connect_seconds_max)
        if server.user and server.password:
            transport = connection.transport
            try:
                await connection.login(server.user, server.password)
            except (SMTPException, OSError):
                connection.close()
                await _abort(transport)
                raise
        return connection

    def _put_back(self, connection: SMTP) -> None:
        if connection.is_connected:
            self._idle.append((connection, asyncio.get_running_loop().time()))
        else:
            connection.close()

    async def _quit(self, connection: SMTP) -> None:
        transport = connection.transport
        with suppress(SMTPException, OSError):
            await connection.quit(timeout=self._connect_seconds_max)
        connection.close()
        await _abort(transport)

    def _cannot_send(self, error: Exception) -> SendFailed:
        """Classifies a failure: of this letter, or of the connection to the server."""
        if isinstance(error, SMTPRecipientsRefused):
            error = error.recipients[0]
        reason = f"{self._server!r}: {_error_text(error)}"
        match error:
            case SMTPResponseException(code=code) if code == _CLOSING or code in _CREDENTIALS_REJECTED:
                return SendFailed(reason, unreachable=True)
            case SMTPSenderRefused(code=code) if code >= 500 and code != _TOO_LARGE:
                return SendFailed(reason, unreachable=True)  # it rejects every letter from this sender
            case SMTPResponseException(code=code):
                return SendFailed(reason, permanent=500 <= code < 600)
            case SMTPServerDisconnected() | OSError():
                return SendFailed(reason, unreachable=True)
        return SendFailed(reason, permanent=isinstance(error, SMTPNotSupported | ValueError))


async def _abort(transport: asyncio.BaseTransport | None) -> None:
    """Closes a connection at once: TLS would wait for the server's closing message."""
    if transport is not None:
        cast(asyncio.WriteTransport, transport).abort()
        await asyncio.sleep(0)


def _error_text(error: Exception) -> str:
    """The server's error in one line of limited length; its text is untrusted."""
    text = f"{error.code} {error.message}" if isinstance(error, SMTPResponseException) else str(error)
    return clean(text or type(error).__name__)[:_ERROR_CHARACTERS_MAX]
