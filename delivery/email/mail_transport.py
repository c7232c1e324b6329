"""The transports that send no letters: one writes them to a folder, the other only composes them."""

import asyncio
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.message import InvalidAddress, compose, digest, mailbox
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.ports.outbox import SendFailed, SettleNotice
from innkeeper.protocol.values.email_address import sender_address

logger = logging.getLogger(__name__)

_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


class UnsentMailTransport:
    """A `SendNotices` that composes letters and sends none: for a program that may write nothing to disk."""

    def __init__(self, letters: Letters, sender: str, clock: Callable[[], int]) -> None:
        self._letters = letters
        self._sender = sender
        self._clock = clock

    async def __call__(self, notices: Iterable[Notice], settle: SettleNotice) -> None:
        """See `protocol.ports.outbox.SendNotices`."""
        for notice in notices:
            settle(notice, self._compose(notice))
            await asyncio.sleep(0)  # lets the loop work for others

    def _compose(self, notice: Notice) -> Exception | None:
        try:
            compose(notice, self._letters.write(notice), self._sender, self._clock())
        except InvalidAddress as error:
            return SendFailed(str(error), permanent=True, reply="no address")
        except Exception as error:
            return error
        logger.debug("the letter of %s, which is not sent", notice.id)
        return None


class FolderMailTransport:
    """A `SendNotices` that writes letters to a folder, each as a file that mail programs open:
    `{locator}-{kind}-{hash}.eml`, or with the id of a place on the waitlist. A letter that is already there is not
    written again. `clock` gives microseconds since 1970 UTC."""

    def __init__(self, folder: Path, letters: Letters, sender: str, clock: Callable[[], int]) -> None:
        mailbox(sender, parse=sender_address)
        self._folder = folder
        self._letters = letters
        self._sender = sender
        self._clock = clock

    async def __call__(self, notices: Iterable[Notice], settle: SettleNotice) -> None:
        """See `protocol.ports.outbox.SendNotices`."""
        batch = list(notices)
        for notice, error in zip(batch, await asyncio.to_thread(self._store_all, batch), strict=False):
            settle(notice, error)

    def _store_all(self, notices: Sequence[Notice]) -> list[Exception | None]:
        """Writes letters until one says that no other can be written either; an error, or None, for each."""
        results = list[Exception | None]()
        for notice in notices:
            try:
                self._store(notice)
                results.append(None)
            except SendFailed as error:
                return [*results, error]
            except InvalidAddress as error:
                results.append(SendFailed(str(error), permanent=True, reply="no address"))
            except Exception as error:
                results.append(error)
        return results

    def _store(self, notice: Notice) -> None:
        name = _UNSAFE.sub("", notice.locator or notice.booking)
        path = self._folder / f"{name}-{notice.kind.value}-{digest(notice)[:12]}.eml"
        if path.exists():
            return
        body = compose(notice, self._letters.write(notice), self._sender, self._clock())
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
