"""Gives the same reply to the same message again: replies are kept under the idempotency keys of their requests."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from innkeeper.protocol.codec import frames
from innkeeper.protocol.messages.envelope import Result
from innkeeper.protocol.messages.refusals import IdempotencyKeyReused, NotFound, Refusal, Refused, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.journal import StoredReply
from innkeeper.protocol.ports.service_store import Keep, ServiceStore, Transaction
from innkeeper.protocol.values.limits import idempotency_hours

_HOUR_MICROSECONDS = 3_600_000_000
_REMOVED_WITH_EACH = 10

Answer = Callable[[ServiceMessage, Transaction], Awaitable[Reply]]
"""Handles a message, writes its effects in the transaction, and returns its reply. Raises `Refused`."""


class KeptReplies:
    """The replies of one service, in its database; for its event loop only. Each is kept for `idempotency_hours` at
    least: with each new one, a few that are older are removed."""

    def __init__(self, store: ServiceStore, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def answer(self, message: ServiceMessage, key: str, answer: Answer) -> Result:
        """Returns the reply that the key already has, or answers the message. One that arrives while the same key is
        being answered waits for that."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            fingerprint = frames.fingerprint_of(message)
            found = self._store.kept_reply(key)
            if found is not None and found.fingerprint != fingerprint:
                return Result(IdempotencyKeyReused())
            if found is not None:
                result = Result(frames.decode_response(found.reply), replayed=True)
            else:
                result = await self._answer(message, StoredReply(key, fingerprint, b""), answer)
            await self._store.sync()
            return result

    async def _answer(self, message: ServiceMessage, new: StoredReply, answer: Answer) -> Result:
        is_kept = False

        def store(response: Reply | Refusal) -> None:
            at = self._clock()
            self._store.keep_reply(StoredReply(new.key, new.fingerprint, frames.encode_response(response), at))
            self._store.remove_replies(at - idempotency_hours * _HOUR_MICROSECONDS, _REMOVED_WITH_EACH)

        @contextmanager
        def transaction() -> Iterator[Keep]:
            nonlocal is_kept
            keeping = False

            def keep(reply: Reply) -> None:
                nonlocal keeping
                store(reply)
                keeping = True

            with self._store.transaction():
                yield keep
            is_kept = keeping

        response: Reply | Refusal
        try:
            response = await answer(message, transaction)
        except Refused as refused:
            response = refused.refusal
        if not is_kept and _is_final(response):
            store(response)
        return Result(response)


def without_key(store: ServiceStore) -> Transaction:
    """The transaction of a message without an idempotency key: its reply is not kept."""

    @contextmanager
    def transaction() -> Iterator[Keep]:
        with store.transaction():
            yield lambda _: None

    return transaction


def _is_final(response: Reply | Refusal) -> bool:
    """Returns whether the same message gets this response again: not one that could not be carried out now, nor one
    about a subscriber that another service may run."""
    return not (isinstance(response, Unavailable) or (isinstance(response, NotFound) and response.kind == "subscriber"))
