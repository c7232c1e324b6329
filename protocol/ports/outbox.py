"""Where notifications remembers what it knows, and what is still to be said: nothing is sent that is not written here
first, in the transaction that moves its cursor."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.ports.subscriptions import DeadLetter


class CannotSend(Exception):
    """A letter could not be sent: for now, or `for_good`. Where the way out is `away`, no other letter can be sent
    either."""

    def __init__(self, reason: str, for_good: bool = False, away: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good
        self.away = away


SendNotice = Callable[[Notice], Awaitable[None]]
"""Sends the letter that says this; raises `CannotSend`. The same notice may come twice, and is the same letter."""


class DueNotice(msgspec.Struct, frozen=True):
    """A notice whose time has come, after so many attempts to send it."""

    notice: Notice
    attempts: int


class Outbox(Protocol):
    """What is known of hotels and bookings is kept as bytes: only who wrote them reads them. For one thread."""

    def hotels(self, ids: Iterable[str]) -> dict[str, bytes]:
        """What is known of these hotels."""

    def bookings(self, ids: Iterable[str]) -> dict[str, bytes]:
        """What is known of these bookings."""

    def keep(
        self,
        hotels: Mapping[str, bytes],
        bookings: Mapping[str, bytes],
        notices: Sequence[Notice],
        withdrawn: Sequence[str],
    ) -> None:
        """Write down what is known now and what is to be said, and take back what is not to be said any more, where it
        has not been said. To be called within a transaction."""

    def due(self, at: int, limit: int) -> list[DueNotice]:
        """The notices whose time has come, in the order in which they were decided; none to an address that waits for
        an earlier one to be tried again."""

    def count(self, at: int) -> tuple[int, int]:
        """How many notices should have been sent by now, and how many nobody tries any more."""

    @property
    def paused(self) -> bool:
        """Shall nothing be sent?"""

    def pause(self, paused: bool) -> None:
        """Send nothing from now on, or go on."""

    def next_due_at(self) -> int | None:
        """When the next time comes, in microseconds since 1970 UTC."""

    def sent(self, notice: str) -> None:
        """It is said, and never said again."""

    def failed(self, notice: str, reason: str, at: int, retry_at: int | None) -> None:
        """It could not be said; try again then, or, where that is None, when a person says so."""

    def dead_letters(self) -> list[DeadLetter]:
        """What nobody tries any more to say, oldest first."""

    def redrive(self, notice: str, drop: bool = False) -> DeadLetter | None:
        """Try it again, though its time be over, or leave it unsaid; None where it is no dead letter."""
