"""Composes letters as e-mail messages (RFC 5322), in the bytes that are sent.

Names and addresses are untrusted input. A name becomes a single line without control characters; an address is parsed
and used only if it is valid. The same notice gives the same message each time, so that duplicates can be detected.

The form of all messages is the same, so that it is written from fixed pieces; the standard library's `email` takes ten
times as long. A test parses messages with it, and compares them with those that it makes itself.
"""

from base64 import b64encode, encodebytes
from binascii import b2a_qp
from collections.abc import Callable
from email.header import Header
from email.utils import format_datetime, quote
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from innkeeper.delivery.email.calendar_file import calendar_file
from innkeeper.delivery.email.wording import clean
from innkeeper.protocol.notifications.letters import Letter
from innkeeper.protocol.notifications.notices import HotelContact, Notice
from innkeeper.protocol.values.email_address import EmailAddress, InvalidEmail, email_address, sender_address
from innkeeper.protocol.values.instants import instant

_NAME_CHARACTERS_MAX = 100
_QUOTED_CHARACTERS_MAX = 60
_SUBJECT_LINE_CHARACTERS_MAX = 78 - len("Subject: ")
_ENCODED_WORD_BYTES_MAX = 42  # with the name of the header in front of it, the line has at most 78 characters
_ID_BYTES = 16
_SENDERS_KEPT, _DATES_KEPT, _LINES_KEPT = 256, 16, 1_024
_PART = (
    "--=_{boundary}\r\n"
    'Content-Type: text/{kind}; charset="utf-8"\r\n'
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
)


class InvalidAddress(ValueError):
    """It is not an address that a letter can be sent to, or from."""


class Mailbox(NamedTuple):
    """An address, with the name of whom it belongs to; both are valid in a message."""

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        """The address alone."""
        return f"{self.local}@{self.domain}"


def mailbox(email: str, name: str = "", parse: Callable[[str], EmailAddress] = email_address) -> Mailbox:
    """Parses an address by the rule by which it was accepted; the domain is in its DNS form. Raises
    InvalidAddress."""
    try:
        address = parse(email)
    except InvalidEmail as error:
        raise InvalidAddress(f"{clean(email)!r} is not an e-mail address: {clean(str(error))}") from None
    return Mailbox(clean(name)[:_NAME_CHARACTERS_MAX], *address)


def compose(notice: Notice, letter: Letter, sender: str, at: int) -> bytes:
    """The message with this letter, from the hotel at the address `sender`, dated `at` (microseconds since 1970 UTC).
    Its lines end in CRLF; it is ASCII, unless one of the addresses is not. Raises InvalidAddress."""
    origin, domain = _sender(sender, notice.hotel.name)
    to = recipient(notice)
    boundary = digest(notice)
    head = (
        f"From: {origin}\r\n"
        f"{'' if notice.hotel.contact is None else _reply_to(notice, notice.hotel.contact)}"
        f"To: {_header_form(to)}\r\n"
        f"Subject: {_subject(letter.subject)}\r\n"
        f"Date: {_date(at // 1_000_000)}\r\n"
        f"Message-ID: <{boundary}@{domain}>\r\n"
        "Auto-Submitted: auto-generated\r\n"  # RFC 3834: suppresses automatic replies
        f"Content-Language: {letter.language}\r\n"
        "MIME-Version: 1.0\r\n"
    )
    return head.encode() + _with_calendar(notice, _alternatives(letter, boundary), boundary, sender, at)


def _alternatives(letter: Letter, boundary: str) -> bytes:
    """The letter as plain text and as HTML."""
    return b"".join(
        (
            f'Content-Type: multipart/alternative;\r\n boundary="=_{boundary}"\r\n\r\n'.encode(),
            _PART.format(boundary=boundary, kind="plain").encode(),
            _quoted_printable(letter.text),
            b"\r\n",
            _PART.format(boundary=boundary, kind="html").encode(),
            _quoted_printable(letter.html),
            f"\r\n--=_{boundary}--\r\n".encode(),  # `=_` is never a part of quoted-printable text
        )
    )


def _with_calendar(notice: Notice, letter: bytes, boundary: str, sender: str, at: int) -> bytes:
    """The letter, with its calendar file as an attachment if it has one."""
    calendar = calendar_file(notice, sender, at)
    if calendar is None:
        return letter
    return b"".join(
        (
            f'Content-Type: multipart/mixed;\r\n boundary="=_m{boundary}"\r\n\r\n--=_m{boundary}\r\n'.encode(),
            letter,
            f"--=_m{boundary}\r\n"
            f'Content-Type: text/calendar; charset="utf-8"; method={calendar.method}\r\n'
            'Content-Disposition: attachment; filename="stay.ics"\r\n'
            "Content-Transfer-Encoding: base64\r\n\r\n".encode(),
            encodebytes(calendar.body).replace(b"\n", b"\r\n"),
            f"--=_m{boundary}--\r\n".encode(),
        )
    )


def _reply_to(notice: Notice, contact: HotelContact) -> str:
    """The header that sends the guest's reply to the hotel, where it has an address. One that is not ASCII is left out:
    the letter would need a mail server with SMTPUTF8."""
    if not contact.email or not notice.is_to_guest:
        return ""
    header = _sender(contact.email, notice.hotel.name)[0]
    return f"Reply-To: {header}\r\n" if header.isascii() else ""


def recipient(notice: Notice) -> Mailbox:
    """Where the letter goes. Raises InvalidAddress, whose text does not contain the address."""
    try:
        return mailbox(notice.recipient.email, notice.recipient.name)
    except InvalidAddress:
        raise InvalidAddress("the recipient's is not an e-mail address") from None


def digest(notice: Notice) -> str:
    """The name of a notice in the ids of messages, and of files."""
    return blake2b(notice.id.encode(), digest_size=_ID_BYTES).hexdigest()


@lru_cache(_SENDERS_KEPT)
def _sender(email: str, name: str) -> tuple[str, str]:
    """The sender in the form for a header, and the domain."""
    origin = mailbox(email, name, sender_address)
    return _header_form(origin), origin.domain


def _header_form(box: Mailbox) -> str:
    """A mailbox in the form for a header. A long name is not folded, but encoded: within quotes it could be read as
    several addresses. So is a name that looks like an encoded word (RFC 2047)."""
    name = box.name
    if not name:
        return box.address
    if name.isascii() and len(name) <= _QUOTED_CHARACTERS_MAX and "=?" not in name:
        return f'"{quote(name)}" <{box.address}>'
    return f"{_encoded(name)}\r\n <{box.address}>"


def _subject(line: str) -> str:
    """A line in the form for a header: in encoded words where needed, and folded."""
    if not line.isascii() or "=?" in line:
        return _encoded(line)
    if len(line) <= _SUBJECT_LINE_CHARACTERS_MAX:
        return line
    return Header(line, "us-ascii", header_name="Subject").encode(linesep="\r\n")


def _encoded(line: str) -> str:
    """A line in encoded words (RFC 2047), each on a line of its own; none ends within a character."""
    rest, words = line.encode(), list[bytes]()
    while len(rest) > _ENCODED_WORD_BYTES_MAX:
        end = _ENCODED_WORD_BYTES_MAX
        while rest[end] & 0b1100_0000 == 0b1000_0000:  # within a character
            end -= 1
        words.append(rest[:end])
        rest = rest[end:]
    return "\r\n ".join([f"=?utf-8?b?{b64encode(word).decode()}?=" for word in (*words, rest)])


def _quoted_printable(text: str) -> bytes:
    """A text in quoted-printable form (RFC 2045), in lines of at most 76 characters."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return b"\r\n".join(map(_quoted_printable_line, text.split("\n")))


@lru_cache(_LINES_KEPT)
def _quoted_printable_line(line: str) -> bytes:
    """A line in quoted-printable form. Most lines of HTML are the same in all letters."""
    return b2a_qp(line.encode()).replace(b"\n", b"\r\n")


@lru_cache(_DATES_KEPT)
def _date(at_seconds: int) -> str:
    return format_datetime(instant(at_seconds * 1_000_000))
