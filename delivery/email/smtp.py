"""The transport that sends letters to a mail server.

The server is the hotel's own or its provider's. A refusal of one letter concerns only that letter, for now or for good.
Where the server does not answer, rejects the credentials or rejects the sender's address, no letter can be sent, and
the transport is reported as unavailable.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import Literal, NamedTuple, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from aiosmtplib import SMTP, SMTPException, SMTPHeloError, SMTPResponseException
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.message import InvalidAddress, compose, mailbox, recipient
from innkeeper.delivery.email.smtp_connection import Outgoing, Refusal, SmtpConnection
from innkeeper.delivery.email.wording import clean
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.ports.outbox import SendFailed, SettleNotice
from innkeeper.protocol.values.email_address import sender_address
from innkeeper.protocol.values.limits import (
    letters_at_once_max,
    smtp_check_seconds_max,
    smtp_command_seconds_max,
    smtp_connect_seconds_max,
    smtp_text_seconds_max,
)

_PORTS = {"smtp": 25, "smtps": 465}
_SUBMISSION_PORT = 587
_IDLE_SECONDS_MAX = 60
_ERROR_CHARACTERS_MAX = 300
_ENHANCED_CODE = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}\b", re.ASCII)
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
    """A `SendNotices` that sends letters by SMTP. `clock` gives microseconds since 1970 UTC; `trust` holds the trusted
    certificate authorities, by default the system's. It keeps its connections, and opens one more whenever a batch
    takes another `patience_seconds`. To be used and closed within one event loop."""

    def __init__(
        self,
        server: SmtpServer,
        letters: Letters,
        sender: str,
        clock: Callable[[], int],
        *,
        connect_seconds_max: float = smtp_connect_seconds_max,
        command_seconds_max: float = smtp_command_seconds_max,
        text_seconds_max: float = smtp_text_seconds_max,
        patience_seconds: float = 0.25,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._letters = letters
        self._sender = mailbox(sender, parse=sender_address).address
        self._clock = clock
        self._connect_seconds_max = connect_seconds_max
        self._command_seconds_max = command_seconds_max
        self._text_seconds_max = text_seconds_max
        self._patience_seconds = patience_seconds
        self._check_seconds_max = min(connect_seconds_max, smtp_check_seconds_max)
        self._trust = trust
        self._idle: list[tuple[SmtpConnection, float]] = []

    async def __call__(self, notices: Iterable[Notice], settle: SettleNotice) -> None:
        """See `protocol.ports.outbox.SendNotices`."""
        batch = _Batch(iter(notices), settle)
        senders = {asyncio.create_task(self._send(batch))}
        try:
            while pending := [sender for sender in senders if not sender.done()]:
                patience = None if len(senders) == letters_at_once_max else self._patience_seconds
                done, _ = await asyncio.wait(pending, timeout=patience)
                if not done:
                    senders.add(asyncio.create_task(self._send_beside(batch)))
        finally:
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)
        for sender in senders:
            sender.result()

    async def close(self) -> None:
        """Closes the idle connections; to be called when nothing is being sent."""
        while self._idle:
            await self._quit(self._idle.pop()[0])

    async def _send(self, batch: "_Batch") -> None:
        """Sends letters until there are no more. Opens a connection once there is one."""
        letter = await self._next(batch)
        if letter is None:
            return
        try:
            connection = await self._connection()
        except SendFailed as error:
            batch.settle(letter.notice, error)
            return
        await self._send_on(connection, letter, batch)

    async def _send_beside(self, batch: "_Batch") -> None:
        """The same on one more connection, unless the server does not allow one more."""
        with suppress(SendFailed):
            connection = await self._connection()
            letter = await self._next(batch)
            if letter is None:
                self._put_back(connection)
            else:
                await self._send_on(connection, letter, batch)

    async def _send_on(self, connection: SmtpConnection, first: "_Prepared", batch: "_Batch") -> None:
        try:
            await self._send_all(connection, first, batch)
        except BaseException:
            connection.close()  # it is unknown how much was sent
            raise
        self._put_back(connection)

    async def _send_all(self, connection: SmtpConnection, first: "_Prepared", batch: "_Batch") -> None:
        """Sends letters on this connection. Settles each by the reply to its text, or by the refusal before that; where
        the connection is lost, only the one whose reply was awaited."""
        letter: _Prepared | None = first
        accepted: _Prepared | None = None  # the server waits for its text
        while letter is not None or accepted is not None:
            if letter is not None and letter.outgoing.needs_utf8 and not connection.takes_utf8:
                reason = f"{self._server!r} has no SMTPUTF8"
                batch.settle(letter.notice, SendFailed(reason, permanent=True, reply="no SMTPUTF8"))
                letter = None
            current = accepted or letter
            try:
                if accepted is not None:
                    reply = await connection.send_text(accepted.outgoing, letter and letter.outgoing)
                    refusal = None if reply.is_positive else Refusal(reply, is_of_sender=False)
                    batch.settle(accepted.notice, refusal and self._failure(refusal, accepted))
                accepted, current = None, letter
                if letter is not None:
                    refusal = await connection.send_envelope(letter.outgoing)
                    if refusal is None:
                        accepted = letter
                    else:
                        batch.settle(letter.notice, self._failure(refusal, letter))
            except OSError as error:
                assert current is not None
                reason = f"{self._server!r}: {_error_text(error)}"
                batch.settle(current.notice, SendFailed(reason, unreachable=True, at_letter=True))
                return
            letter = await self._next(batch)

    async def _next(self, batch: "_Batch") -> "_Prepared | None":
        """The next letter that can be sent, None where there is none. Settles those that cannot be composed."""
        while (notice := batch.next()) is not None:
            try:
                if self._letters.has_own(notice.hotel.id):
                    letter = await asyncio.to_thread(self._letters.write, notice)
                else:
                    letter = self._letters.write_built_in(notice)
                to = recipient(notice).address
                message = compose(notice, letter, self._sender, self._clock())
                return _Prepared(notice, Outgoing(self._sender, to, message))
            except InvalidAddress as error:
                batch.settle(notice, SendFailed(str(error), permanent=True, reply="no address"))
            except Exception as error:
                batch.settle(notice, error)
        return None

    async def _connection(self) -> SmtpConnection:
        """A working connection: an idle one that still answers, or a new one. Raises SendFailed."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, since = self._idle.pop()
            if now - since > _IDLE_SECONDS_MAX:
                await self._quit(connection)
            elif connection.is_open:
                with suppress(OSError):
                    async with asyncio.timeout(self._check_seconds_max):
                        if (await connection.ask(b"RSET\r\n")).is_positive:
                            return connection
                connection.close()
        try:
            return await self._connect()
        except (SMTPException, OSError, ValueError) as error:
            raise SendFailed(f"{self._server!r} cannot be reached: {_error_text(error)}", unreachable=True) from error

    async def _connect(self) -> SmtpConnection:
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
        try:
            if server.user and server.password:
                await connection.login(server.user, server.password)
            if connection.is_ehlo_or_helo_needed:
                await _greet(connection)
        except (SMTPException, OSError):
            transport = connection.transport
            connection.close()
            await _abort(transport)
            raise
        extensions = frozenset(connection.esmtp_extensions)
        opened = cast(asyncio.Transport, connection.transport)
        return SmtpConnection(opened, extensions, self._command_seconds_max, self._text_seconds_max)

    def _put_back(self, connection: SmtpConnection) -> None:
        if connection.is_open:
            self._idle.append((connection, asyncio.get_running_loop().time()))

    async def _quit(self, connection: SmtpConnection) -> None:
        with suppress(OSError):
            async with asyncio.timeout(self._check_seconds_max):
                await connection.ask(b"QUIT\r\n")
        connection.close()
        await asyncio.sleep(0)  # the socket is closed in the next turn of the loop

    def _failure(self, refusal: Refusal, letter: "_Prepared") -> SendFailed:
        """Classifies a refusal: of this letter, or of all letters. The reason does not contain the address."""
        code, text = refusal.reply
        address = re.compile(re.escape(letter.outgoing.to), re.IGNORECASE)
        reason = f"{self._server!r}: {code} {clean(address.sub('…', text))}"[:_ERROR_CHARACTERS_MAX]
        if code == _CLOSING or code in _CREDENTIALS_REJECTED:
            return SendFailed(reason, unreachable=True, at_letter=code == _CLOSING)
        if refusal.is_of_sender and code >= 500 and code != _TOO_LARGE:
            return SendFailed(reason, unreachable=True)  # it rejects every letter from this sender
        return SendFailed(reason, permanent=500 <= code < 600, reply=_reply_codes(code, text))


class _Prepared(NamedTuple):
    """A letter that can be sent, and its notice."""

    notice: Notice
    outgoing: Outgoing


class _Batch:
    """The notices of one call, which several connections share. It is over where no more can be sent."""

    def __init__(self, notices: Iterator[Notice], settle: SettleNotice) -> None:
        self._notices = notices
        self._settle = settle
        self._is_over = False

    def next(self) -> Notice | None:
        """The next notice."""
        return None if self._is_over else next(self._notices, None)

    def settle(self, notice: Notice, error: Exception | None) -> None:
        """See `SettleNotice`."""
        self._is_over |= isinstance(error, SendFailed) and error.unreachable
        self._settle(notice, error)


async def _greet(connection: SMTP) -> None:
    """Says hello, and learns what the server offers."""
    try:
        await connection.ehlo()
    except SMTPHeloError:
        await connection.helo()


async def _abort(transport: asyncio.BaseTransport | None) -> None:
    """Closes a connection at once: TLS would wait for the server's closing message."""
    if transport is not None:
        cast(asyncio.WriteTransport, transport).abort()
        await asyncio.sleep(0)


def _reply_codes(code: int, text: str) -> str:
    """The code of a reply, with its enhanced code (RFC 3463) where it has one. Its text may name the guest."""
    enhanced = _ENHANCED_CODE.match(text)
    return f"{code} {enhanced[0]}" if enhanced else str(code)


def _error_text(error: Exception) -> str:
    """The server's error in one line of limited length; its text is untrusted."""
    text = f"{error.code} {error.message}" if isinstance(error, SMTPResponseException) else str(error)
    return clean(text or type(error).__name__)[:_ERROR_CHARACTERS_MAX]
