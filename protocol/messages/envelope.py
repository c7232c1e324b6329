"""The envelope of a command or query on its way to a partition, and the result on its way back."""

import msgspec
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.values.guests import StoredGuest


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A command or query with its idempotency key, its request (`correlation`), its author (`by`), and the version of
    the booking that it expects (any, where None). The partition's host stamps it with the instant (microseconds since
    1970 UTC), a new unique id, and a random salt for a guest's details that it gives. Of a `dry_run`, which has no key,
    the reply says what the command would do. Where it names a guest, the host
    adds the newest version of that one's details (`guest`). A message names one by its field `guest`."""

    message: Command | Query
    key: str | None = None
    correlation: str = ""
    by: str = ""
    if_version: int | None = None
    at: int = 0
    id: str = ""
    salt: bytes = b""
    guest: StoredGuest | None = None
    dry_run: bool = False


class Result(msgspec.Struct, frozen=True, gc=False):
    """The reply or refusal; `replayed` where it was given before, under the same idempotency key."""

    response: Reply | Refusal
    replayed: bool = False
