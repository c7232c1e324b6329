"""The messages about letters that are not sent: those that wait, and those that could not be sent."""

from typing import ClassVar

import msgspec
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.notifications.terms import NotificationMessage


class RefusedAddress(msgspec.Struct, frozen=True, gc=False):
    """A letter (its kind) to the guest's address was refused at this instant (microseconds since 1970 UTC); `reply` has
    the codes of the mail server's reply, such as `550 5.1.1`."""

    at: int
    letter: str
    reply: str


class UnsentLetter(msgspec.Struct, frozen=True, gc=False):
    """A letter that is not sent: when it is due (microseconds since 1970 UTC, 0 for at once, None where it is a dead
    letter), how many attempts have failed, since when (0 where none has), and why."""

    id: str
    kind: str
    due_at: int | None
    attempts: int
    reason: str
    since: int


class ShowUnsentLetters(NotificationMessage, frozen=True):
    """Return the letters of this booking that are not sent, and whether its guest's address refuses them."""

    name: ClassVar[str] = "unsent_letters.show"
    changes: ClassVar[bool] = False
    booking: str


class UnsentLettersReply(Reply, frozen=True):
    """The letters that are not sent, in the order in which they were decided."""

    name: ClassVar[str] = "unsent_letters.reply"
    refused: RefusedAddress | None
    letters: tuple[UnsentLetter, ...]
