"""Composes letters as e-mail messages, and the transport that writes them to a folder instead of sending them.

Names and addresses are untrusted input. A name becomes a single line without control characters; an address is parsed
and used only if it is valid. The same notice gives the same message each time, so that duplicates can be detected.
"""

import asyncio
import logging
import os
import re
import tempfile
from collections.abc import Callable
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, quote
from hashlib import blake2b
from pathlib import Path

from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.wording import clean
from innkeeper.protocol.notifications.letters import Letter
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.ports.outbox import SendFailed
from innkeeper.protocol.values.email_address import EmailAddress, InvalidEmail, email_address, sender_address
from innkeeper.protocol.values.instants import instant

logger = logging.getLogger(__name__)

_NAME_CHARACTERS_MAX = 100
_QUOTED_CHARACTERS_MAX = 60
_ID_BYTES = 16
_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


def mailbox(email: str, name: str = "", parse: Callable[[str], EmailAddress] = email_address) -> Address:
    """Parses an address by the rule by which it was accepted; the domain is in its DNS form. Raises ValueError where it
    is invalid."""
    try:
        address = parse(email)
    except InvalidEmail as error:
        raise ValueError(f"{clean(email)!r} is not an e-mail address: {clean(str(error))}") from None
    return Address(clean(name)[:_NAME_CHARACTERS_MAX], address.local, address.domain)


def compose(notice: Notice, letter: Letter, sender: str, at: int) -> EmailMessage:
    """The e-mail message with this letter, from the hotel at the address `sender`, dated `at` (microseconds since 1970
    UTC). Raises ValueError where one of the addresses is invalid."""
    digest = _digest(notice)
    origin = mailbox(sender, notice.hotel.name, sender_address)
    to = mailbox(notice.recipient.email, notice.recipient.name)
    utf8 = not (to.username + origin.username).isascii()
    message = EmailMessage(policy=SMTP.clone(utf8=utf8, refold_source="none"))
    message.set_raw("From", _header_form(origin))
    message.set_raw("To", _header_form(to))
    message.set_raw("Subject", _folded(letter.subject, "Subject"))
    message["Date"] = format_datetime(instant(at // 1_000_000 * 1_000_000))
    message["Message-ID"] = f"<{digest}@{origin.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: suppresses automatic replies
    message.set_content(letter.text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(letter.html, subtype="html", charset="utf-8", cte="quoted-printable")
    message["Content-Language"] = letter.language  # last: earlier it would be moved to the first part
    message.set_boundary(f"={digest}=")
    return message


def _header_form(address: Address) -> str:
    """An address in the form for a header. The standard library would fold a long name so that it is read as several
    addresses, and would decode a name that looks like an encoded word (RFC 2047)."""
    name = address.display_name
    if name.isascii() and len(name) <= _QUOTED_CHARACTERS_MAX and "=?" not in name:
        return f'"{quote(name)}" <{address.addr_spec}>' if name else address.addr_spec
    return f"{_folded(name, 'From', encoded=True)}\r\n <{address.addr_spec}>"


def _folded(line: str, header: str, encoded: bool = False) -> str:
    """A line in the form for a header: in encoded words where needed, and folded."""
    charset = "utf-8" if encoded or "=?" in line or not line.isascii() else "us-ascii"
    return Header(line, charset, header_name=header).encode(linesep="\r\n")


def _digest(notice: Notice) -> str:
    return blake2b(notice.id.encode(), digest_size=_ID_BYTES).hexdigest()


class UnsentMailTransport:
    """A `SendNotice` that composes letters and sends none: for a program that may write nothing to disk."""

    def __init__(self, letters: Letters, sender: str, clock: Callable[[], int]) -> None:
        self._letters = letters
        self._sender = sender
        self._clock = clock

    async def __call__(self, notice: Notice) -> None:
        """See `protocol.ports.outbox.SendNotice`."""
        letter = self._letters.write(notice)
        try:
            compose(notice, letter, self._sender, self._clock())
        except ValueError as error:
            raise SendFailed(str(error), permanent=True) from error
        logger.debug("a letter, which is not sent: %s", clean(letter.subject))


class FolderMailTransport:
    """A `SendNotice` that writes letters to a folder, each as a file that mail programs open:
    `{locator}-{kind}-{hash}.eml`. A letter that is already there is not written again. `clock` gives microseconds since
    1970 UTC."""

    def __init__(self, folder: Path, letters: Letters, sender: str, clock: Callable[[], int]) -> None:
        mailbox(sender, parse=sender_address)
        self._folder = folder
        self._letters = letters
        self._sender = sender
        self._clock = clock

    async def __call__(self, notice: Notice) -> None:
        """See `protocol.ports.outbox.SendNotice`."""
        await asyncio.to_thread(self._store, notice)

    def _store(self, notice: Notice) -> None:
        path = self._folder / f"{_UNSAFE.sub('', notice.locator)}-{notice.kind.value}-{_digest(notice)[:12]}.eml"
        if path.exists():
            return
        try:
            body = compose(notice, self._letters.write(notice), self._sender, self._clock()).as_bytes()
        except ValueError as error:
            raise SendFailed(str(error), permanent=True) from error
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(path, body)
        except OSError as error:
            raise SendFailed(f"{self._folder} cannot be written: {error.strerror}", unreachable=True) from error

    def _write(self, path: Path, body: bytes) -> None:
        """Writes the file atomically: under a temporary name until it is on disk."""
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self._folder)
        try:
            with open(handle, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
