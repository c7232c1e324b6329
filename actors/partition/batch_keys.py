"""The idempotency keys of a batch of commands: which are answered already, and which replies are to be kept."""

import logging
from collections.abc import Mapping, Sequence

from innkeeper.actors.partition.messages import HOTEL_FAILED
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.refusals import IdempotencyKeyReused, Refusal, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.journal import StoredReply

logger = logging.getLogger(__name__)


class BatchKeys:
    """The idempotency keys of one batch: `known` has the results of the envelopes that are not to be carried out,
    by their numbers: they repeat a key, or cannot be encoded."""

    def __init__(self, envelopes: Sequence[Envelope], kept: Mapping[str, StoredReply]) -> None:
        self.known: dict[int, Result] = {}
        self._first: dict[str, tuple[int, bytes]] = {}
        self._repeats: list[tuple[int, str, bytes]] = []
        for number, envelope in enumerate(envelopes):
            if envelope.key is None:
                continue
            try:
                fingerprint = wire.fingerprint(envelope.message)
            except Exception:
                logger.exception("a command cannot be encoded; it is refused")
                self.known[number] = Result(Unavailable("the command cannot be encoded"))
                continue
            if envelope.key in kept:
                self.known[number] = _replayed(kept[envelope.key], fingerprint)
            elif envelope.key in self._first:
                self.known[number] = Result(HOTEL_FAILED)
                self._repeats.append((number, envelope.key, fingerprint))
            else:
                self._first[envelope.key] = number, fingerprint

    def results(self, size: int, stamped: Sequence[Envelope], responses: Mapping[str, Reply | Refusal]) -> list[Result]:
        """The results of all envelopes in their order: those that are known, and the responses to the others."""
        results: list[Result] = []
        others = iter(stamped)
        for number in range(size):
            known = self.known.get(number)
            results.append(known or Result(responses.get(next(others).id, HOTEL_FAILED)))
        return results

    def replies(self, results: list[Result], at: int) -> list[StoredReply]:
        """The replies to keep. Sets the results of the envelopes that repeat a key of this batch."""
        replies: dict[str, StoredReply] = {}
        for key, (number, fingerprint) in self._first.items():
            response = results[number].response
            if not isinstance(response, Unavailable):
                replies[key] = StoredReply(key, fingerprint, wire.encode_kept(response), at)
        for number, key, fingerprint in self._repeats:
            if key in replies:
                first = results[self._first[key][0]].response
                is_same = fingerprint == replies[key].fingerprint
                results[number] = Result(first, replayed=True) if is_same else Result(IdempotencyKeyReused())
        return [*replies.values()]


def _replayed(kept: StoredReply, fingerprint: bytes) -> Result:
    if kept.fingerprint != fingerprint:
        return Result(IdempotencyKeyReused())
    try:
        answer = wire.decode(kept.reply)
    except ValueError:
        logger.exception("a kept reply cannot be decoded; its command is refused")
        return Result(Unavailable("the reply that was kept is of another version"))
    assert isinstance(answer, Reply | Refusal)
    return Result(answer, replayed=True)
