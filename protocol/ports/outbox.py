"""The outbox of notifications: what it knows of hotels and bookings, and the notices that are still to be sent.

A notice is written here before it is sent, in the transaction that moves the cursor.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.notifications.unsent import UnsentLetter
from innkeeper.protocol.ports.subscriptions import DeadLetter


class SendFailed(Exception):
    """A letter could not be sent. `permanent`: its address takes no letters, and a retry is pointless; `reply` says why
    in a few characters, without any text of the mail server, such as `550 5.1.1`. `unreachable`: no other letter can be
    sent now either, because the mail server does not answer; `at_letter`: it stopped to answer while this letter was
    being sent, which therefore may be the reason, or may have been accepted."""

    def __init__(
        self,
        reason: str,
        permanent: bool = False,
        unreachable: bool = False,
        *,
        reply: str = "",
        at_letter: bool = False,
    ) -> None:
        super().__init__(reason)
        self.permanent = permanent
        self.unreachable = unreachable
        self.reply = reply
        self.at_letter = at_letter


SettleNotice = Callable[[Notice, Exception | None], None]
"""Says what became of a notice: its letter has left the system, or the error, most often `SendFailed`."""

SendNotices = Callable[[Iterable[Notice], SettleNotice], Awaitable[None]]
"""Sends the letters of notices to different addresses. Takes each notice when its letter can be sent, and settles it as
soon as it is known what became of it. After an error that says `unreachable` it takes no more; what is not settled then
was not sent. The same notice may come twice, and is the same letter."""


class DueNotice(msgspec.Struct, frozen=True):
    """A notice that is due, how many attempts to send it have failed, and since when (microseconds since 1970 UTC; 0
    where none has). `refused` is the reply by which an earlier letter about its booking was refused, empty where none
    was since the guest has this address. It is `redriven` where it is to be sent in spite of that."""

    notice: Notice
    attempts: int
    since: int = 0
    refused: str = ""
    redriven: bool = False


class AddressReport(msgspec.Struct, frozen=True):
    """A report to reservations about a guest's address: a letter (its kind) to it was refused with this reply, or,
    where that is empty, accepted although one was refused before."""

    notice: str
    hotel: str
    guest: str
    booking: str
    email: str
    letter: str
    reply: str


ReportAddress = Callable[[AddressReport], Awaitable[None]]
"""Sends a report to reservations. The same one may come twice. Raises `Stalled` where it cannot be reached now, and
anything else where this hotel does not take it now."""


class KeptBooking(NamedTuple):
    """What is to be kept of a booking, the id of its guest, and the reply by which its guest's address was refused,
    empty where it was not."""

    guest: str
    body: bytes
    refused: str = ""


class OutboxChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be stored at once: what is known of hotels and bookings, by id, and notices; those with the ids
    `withdrawn` are removed where they were not sent yet, and those of the bookings `erased` in any case."""

    hotels: Mapping[str, bytes] = {}
    bookings: Mapping[str, KeptBooking] = {}
    notices: Sequence[Notice] = ()
    withdrawn: Sequence[str] = ()
    erased: Sequence[str] = ()


class Outbox(Protocol):
    """Stores hotels and bookings as opaque bytes, which only the caller reads, and notices. For one thread."""

    withdrawals: int
    """How often notices were withdrawn or erased since the outbox was opened: where that has not changed, those that
    were read before it are still there, unless they were sent."""

    def hotels(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Returns what is known of these hotels, by id."""

    def bookings(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Returns what is known of these bookings, by id."""

    def bookings_of(self, guests: Iterable[str]) -> dict[str, bytes]:
        """Returns what is known of all bookings of these guests, by id."""

    def store(self, changes: OutboxChanges) -> None:
        """Stores all of these changes, or nothing; where it is called by `Effects`, together with the cursor's move."""

    def due(self, at: int, limit: int) -> list[DueNotice]:
        """Returns the notices that are due, at most so many, in the order in which they were decided; where there are
        more, of those that were scheduled the ones that are due longest. None to an address to which an earlier one has
        failed and is still to be sent."""

    def count(self, at: int) -> tuple[int, int]:
        """Returns how many notices are due and reports wait to be sent, and how many notices are dead letters."""

    @property
    def paused(self) -> bool:
        """Whether sending is paused."""

    def pause(self, paused: bool) -> None:
        """Pauses or resumes sending."""

    def next_due_at(self) -> int | None:
        """Returns when the next notice is due that no earlier one blocks, in microseconds since 1970 UTC; None without
        one."""

    def unsent(self, booking: str) -> list[UnsentLetter]:
        """Returns the notices about a booking, in the order in which they were decided."""

    def is_waiting(self, notice: str) -> bool:
        """Whether a notice is still there: neither sent nor withdrawn."""

    def mark_sent(self, notices: Sequence[str], reports: Sequence[AddressReport] = ()) -> None:
        """Removes notices that were sent, and adds these reports: all of it or nothing. A report whose notice was
        erased meanwhile is not added."""

    def mark_failed(
        self, notice: str, reason: str, at: int, retry_at: int | None, report: AddressReport | None = None
    ) -> None:
        """Records a failed attempt and when to retry it, and adds a report; None makes the notice a dead letter.
        Nothing is recorded of a notice that was erased meanwhile."""

    def mark_unsent(self, notice: str, reason: str, at: int) -> None:
        """Makes a notice a dead letter without an attempt to send it."""

    def reports(self, limit: int, after: int = 0) -> list[tuple[int, AddressReport]]:
        """Returns the oldest reports after this number, at most so many, each with its number."""

    def remove_report(self, number: int) -> None:
        """Removes a report that has arrived."""

    def dead_letters(self) -> list[DeadLetter]:
        """Returns the notices that are not retried any more, oldest first."""

    def redrive(self, notice: str, drop: bool = False) -> DeadLetter | None:
        """Makes a dead letter due again, even where it is no longer useful, or drops it; None where it is none."""
