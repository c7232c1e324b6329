"""Letters as e-mail, and the courier who puts them into a folder instead of sending them.

Names and addresses are what strangers have typed. A name becomes one harmless line; an address is taken apart and only
used if it is one. The same notice is the same message each time, so that whoever gets it twice can tell.
"""

import asyncio
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
from innkeeper.protocol.ports.outbox import CannotSend
from innkeeper.protocol.values.instants import instant
from yarl import URL

_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII
)
_LOCAL_BYTES_MAX = 64
_NAME_CHARACTERS_MAX = 100
_QUOTED_CHARACTERS_MAX = 60
_ID_BYTES = 16
_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


def mailbox(email: str, name: str = "") -> Address:
    """Who may be written to under this address (RFC 5321, RFC 6531; the domain as DNS knows it). Raises ValueError
    where it is none. What stands in quotes, or at an IP address, is not accepted: it is a trick or a mistake."""
    local, at, domain = email.rpartition("@")
    fits = 0 < len(local.encode(errors="replace")) <= _LOCAL_BYTES_MAX and _LOCAL.fullmatch(local)
    host = _host(domain)
    if not at or not fits or not _DOMAIN.fullmatch(host):
        raise ValueError(f"{clean(email)!r} is not an e-mail address")
    return Address(clean(name)[:_NAME_CHARACTERS_MAX], local, host)


def _host(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    try:
        return (URL.build(scheme="http", host=domain).raw_host or "").lower()
    except ValueError:
        return ""


def compose(notice: Notice, letter: Letter, sender: str, at: int) -> EmailMessage:
    """The message that carries this letter, from the hotel at the `sender`'s address, written at this instant
    (microseconds since 1970 UTC). Raises ValueError where one of the addresses is none."""
    digest = _digest(notice)
    origin = mailbox(sender, notice.hotel.name)
    to = mailbox(notice.recipient.email, notice.recipient.name)
    utf8 = not (to.username + origin.username).isascii()
    message = EmailMessage(policy=SMTP.clone(utf8=utf8, refold_source="none"))
    message.set_raw("From", _written(origin))
    message.set_raw("To", _written(to))
    message.set_raw("Subject", _folded(letter.subject, "Subject"))
    message["Date"] = format_datetime(instant(at // 1_000_000 * 1_000_000))
    message["Message-ID"] = f"<{digest}@{origin.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice shall answer
    message.set_content(letter.text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(letter.html, subtype="html", charset="utf-8", cte="quoted-printable")
    message["Content-Language"] = letter.language  # last, or it moves into the first part
    message.set_boundary(f"={digest}=")
    return message


def _written(address: Address) -> str:
    """An address as it stands in a header. The standard library would fold a long name so that it falls apart into
    addresses, and decode one that looks like an encoded word (RFC 2047), whatever that hides."""
    name = address.display_name
    if name.isascii() and len(name) <= _QUOTED_CHARACTERS_MAX and "=?" not in name:
        return f'"{quote(name)}" <{address.addr_spec}>' if name else address.addr_spec
    return f"{_folded(name, 'From', encoded=True)}\r\n <{address.addr_spec}>"


def _folded(line: str, header: str, encoded: bool = False) -> str:
    """A line as it stands in a header: in encoded words where it needs them, and in short lines."""
    charset = "utf-8" if encoded or "=?" in line or not line.isascii() else "us-ascii"
    return Header(line, charset, header_name=header).encode(linesep="\r\n")


def _digest(notice: Notice) -> str:
    return blake2b(notice.id.encode(), digest_size=_ID_BYTES).hexdigest()


class FolderCourier:
    """Puts letters into a folder, each as a file that mail programs open: `{locator}-{kind}-{hash}.eml`. `clock`
    gives microseconds since 1970 UTC. It is a `Send`; what was put there once is not put there again."""

    def __init__(self, folder: Path, letters: Letters, sender: str, clock: Callable[[], int]) -> None:
        mailbox(sender)
        self._folder = folder
        self._letters = letters
        self._sender = sender
        self._clock = clock

    async def __call__(self, notice: Notice) -> None:
        """See `protocol.outbox.Send`."""
        await asyncio.to_thread(self._put, notice)

    def _put(self, notice: Notice) -> None:
        path = self._folder / f"{_UNSAFE.sub('', notice.locator)}-{notice.kind.value}-{_digest(notice)[:12]}.eml"
        if path.exists():
            return
        try:
            body = compose(notice, self._letters.write(notice), self._sender, self._clock()).as_bytes()
        except ValueError as error:
            raise CannotSend(str(error), for_good=True) from error
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(path, body)
        except OSError as error:
            raise CannotSend(f"{self._folder} cannot be written: {error.strerror}", away=True) from error

    def _write(self, path: Path, body: bytes) -> None:
        """All of it or nothing: under another name first, until it is on the disk."""
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
