"""A connection to a mail server on which letters are sent, one after another.

aiosmtplib connects, encrypts and authenticates, but cannot pipeline commands (RFC 2920). So the connection is then
taken over: where the server offers it, the text of one letter goes out together with the envelope of the next, and one
round trip sends a letter.
"""

import asyncio
import re
from collections import deque
from typing import NamedTuple

from innkeeper.protocol.values.limits import smtp_command_seconds_max, smtp_text_seconds_max

_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_REPLY_BYTES_MAX = 32_768
_DATA, _END_OF_TEXT = b"DATA\r\n", b".\r\n"
_SENDER, _TO, _TEXT = range(3)  # the commands of an envelope
_START_TEXT = 354
_CLOSING = 421


class SmtpReply(NamedTuple):
    """A reply of the server (RFC 5321, 4.2). `text` is untrusted."""

    code: int
    text: str

    @property
    def is_positive(self) -> bool:
        """Whether the command was carried out."""
        return self.code // 100 == 2


class Outgoing(NamedTuple):
    """A letter for the mail server: the addresses of its envelope, and the message in lines that end in CRLF."""

    sender: str
    to: str
    message: bytes

    @property
    def needs_utf8(self) -> bool:
        """Whether one of the addresses is not ASCII."""
        return not (self.sender.isascii() and self.to.isascii())


class Refusal(NamedTuple):
    """The server refuses a letter: the first reply that says so, and whether it is about the sender."""

    reply: SmtpReply
    is_of_sender: bool


class SmtpConnection(asyncio.Protocol):
    """Takes over a connection whose greeting, encryption and authentication are done. Its methods raise OSError where
    the connection is lost, or the server is silent for `reply_seconds_max`, after the text of a letter for
    `text_seconds_max`; it is then closed."""

    def __init__(
        self,
        transport: asyncio.Transport,
        extensions: frozenset[str] = frozenset(),
        reply_seconds_max: float = smtp_command_seconds_max,
        text_seconds_max: float = smtp_text_seconds_max,
    ) -> None:
        """`extensions` are the names of those that the server offers, in small letters."""
        self.is_open = True
        self.pipelines = "pipelining" in extensions
        self.takes_utf8 = "smtputf8" in extensions
        self._takes_size = "size" in extensions
        self._transport = transport
        self._reply_seconds_max = reply_seconds_max
        self._text_seconds_max = text_seconds_max
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._lines: list[str] = []
        self._replies: deque[SmtpReply] = deque()
        self._expected = 0  # replies to what was written, those included that are not read yet
        self._has_envelope = False  # that of the next letter was sent
        self._waiter: asyncio.Future[None] | None = None
        self._reason = "the connection is closed"
        transport.set_protocol(self)

    async def send_envelope(self, letter: Outgoing) -> Refusal | None:
        """Sends the addresses of a letter, unless they were sent with the text of the one before. Returns why the
        server does not wait for the text, None where it does."""
        if not self._has_envelope and self.pipelines:
            self.write(*self._envelope(letter))
        self._has_envelope = False
        replies = list[SmtpReply]()
        for command in self._envelope(letter):
            replies.append(await (self.reply() if self.pipelines else self.ask(command)))
            if not self.is_open or not (self.pipelines or replies[-1].is_positive):
                break
        refused = [place for place, reply in enumerate(replies[:_TEXT]) if not reply.is_positive]
        waits = len(replies) > _TEXT and replies[_TEXT].code == _START_TEXT
        if waits and not refused:
            return None
        if waits and refused == [_TO]:
            await self.ask(_END_OF_TEXT)  # the server waits for a text, although it has accepted no recipient
        elif waits:
            self.close("a text was wanted, but the sender refused")
        if self.is_open and not (await self.ask(b"RSET\r\n")).is_positive:
            self.close("RSET was refused")
        place = refused[0] if refused else len(replies) - 1
        return Refusal(replies[place], is_of_sender=place == _SENDER)

    async def send_text(self, letter: Outgoing, following: Outgoing | None) -> SmtpReply:
        """Sends the text of a letter, with pipelining together with the envelope of the next one. Returns the reply to
        the text. A dot that begins a line is doubled (RFC 5321, 4.5.2)."""
        text = letter.message.replace(b"\r\n.", b"\r\n..") + _END_OF_TEXT
        self._has_envelope = self.pipelines and following is not None
        self.write(text, *(self._envelope(following) if self._has_envelope and following is not None else ()))
        return await self.reply(self._text_seconds_max)

    def _envelope(self, letter: Outgoing) -> tuple[bytes, bytes, bytes]:
        size = f" SIZE={len(letter.message)}" if self._takes_size else ""
        utf8 = " SMTPUTF8" if letter.needs_utf8 else ""
        sender, to = f"MAIL FROM:<{letter.sender}>{size}{utf8}\r\n", f"RCPT TO:<{letter.to}>\r\n"
        return sender.encode(), to.encode(), _DATA

    async def ask(self, command: bytes) -> SmtpReply:
        """Sends one command and returns its reply."""
        self.write(command)
        return await self.reply()

    def write(self, *commands: bytes) -> None:
        """Sends commands; the reply to each is to be read."""
        if not self.is_open:
            raise ConnectionResetError(self._reason)
        self._expected += len(commands)
        self._transport.write(b"".join(commands))

    async def reply(self, seconds_max: float | None = None) -> SmtpReply:
        """Returns the next reply, for which it waits at most so long."""
        if not self._replies and self.is_open:
            self._waiter = self._loop.create_future()
            seconds_max = self._reply_seconds_max if seconds_max is None else seconds_max
            timer = self._loop.call_later(seconds_max, self._give_up, seconds_max)
            try:
                await self._waiter
            finally:
                self._waiter = None
                timer.cancel()
        if not self._replies:
            raise ConnectionResetError(self._reason)
        self._expected -= 1
        reply = self._replies.popleft()
        if reply.code == _CLOSING:
            self.close("the server closes the connection")
        return reply

    def close(self, reason: str = "the connection is closed") -> None:
        """Closes the connection at once: TLS would wait for the server's closing message."""
        if self.is_open:
            self.is_open, self._reason = False, reason
            self._transport.abort()
        self._wake_reader()

    def _wake_reader(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _give_up(self, seconds: float) -> None:
        self.close(f"no reply within {seconds:g} s")

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`. What was not asked for could be taken for the reply to the next command."""
        self._received += data
        while self.is_open and (end := self._received.find(b"\n")) >= 0:
            line = bytes(self._received[:end]).rstrip(b"\r")
            del self._received[: end + 1]
            self._line_received(line)
        if self.is_open and len(self._received) + sum(map(len, self._lines)) > _REPLY_BYTES_MAX:
            self.close("a reply is too long")
        if self._replies:
            self._wake_reader()

    def _line_received(self, line: bytes) -> None:
        found = _REPLY_LINE.fullmatch(line)
        if found is None:
            self.close("a reply is malformed")
        elif len(self._replies) == self._expected:
            self.close(f"an unexpected reply: {line.decode('utf-8', 'replace')}")
        else:
            code, separator, text = found.groups()
            self._lines.append((text or b"").decode("utf-8", "replace"))
            if separator != b"-":
                self._replies.append(SmtpReply(int(code), " ".join(self._lines)))
                self._lines.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.close("the server closed the connection" if exc is None else str(exc))
