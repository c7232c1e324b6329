"""What the clients were told, and whether the journal and later answers stand by it (P3, P7).

A request carries its id as correlation, through all its retries; so its effects can be found among the events.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import KeyReused, Refusal, Unavailable
from innkeeper.protocol.ports.message_bus import Envelope, Result
from simulation.witness import Trace, Witness


@dataclass(frozen=True, slots=True)
class Request:
    """Something that a client wants; with a key it can be asked again until there is an answer."""

    id: str
    message: Command | Query
    key: str | None = None
    if_version: int | None = None

    def asked(self) -> Envelope:
        """As it comes to the partition."""
        return Envelope(self.message, self.key, self.id, "client", self.if_version)

    def __str__(self) -> str:
        return f"{self.id} ({type(self.message).__name__}, key {self.key})"


class Ledger:
    """Every definite answer, and the events that stood behind it."""

    def __init__(self) -> None:
        self.unanswered: dict[str, Request] = {}
        self.answered: dict[str, Request] = {}
        self._kept: dict[str, tuple[Request, bytes]] = {}
        self._tried: dict[str, list[Request]] = {}
        self._evidence: dict[str, tuple[Request, Trace]] = {}

    def sent(self, request: Request) -> None:
        """A client asks; nobody knows yet what comes of it."""
        if request.key is not None:
            self._tried.setdefault(request.key, []).append(request)
            if request.id not in self.answered:
                self.unanswered[request.id] = request

    def heard(self, request: Request, answer: Result, trace: Trace) -> Iterator[str]:
        """A client has an answer, which leaves this trace in the journal; what is wrong with that."""
        if isinstance(answer.response, Unavailable):
            return
        yield from self._trace(request, answer, trace)
        self._evidence[request.id] = (request, Trace(list(trace.events), set(trace.causes)))
        if request.key is not None:
            self.unanswered.pop(request.id, None)
            self.answered[request.id] = request
            yield from self._same(request, answer)

    def _trace(self, request: Request, answer: Result, trace: Trace) -> Iterator[str]:
        if len(trace.causes) > 1:
            yield f"{request} happened {len(trace.causes)} times (P7)"
        if isinstance(answer.response, Refusal) and trace.events:
            yield f"{request} was refused, and yet {trace.events} happened (P9)"
        if isinstance(request.message, Query) and trace.events:
            yield f"{request} is a question, and yet {trace.events} happened"

    def _same(self, request: Request, answer: Result) -> Iterator[str]:
        """The same key: the same answer to the same body, and a refusal of any other."""
        assert request.key is not None
        refused = isinstance(answer.response, KeyReused)
        encoded = wire.encode(answer.response)
        kept = self._kept.get(request.key)
        if kept is None:
            others = [tried for tried in self._tried[request.key] if tried.message != request.message]
            if not refused:
                self._kept[request.key] = (request, encoded)
            elif not others:
                yield f"{request} is told that its key was used for something else, and it was not (P7)"
        elif kept[0].message == request.message:
            if encoded != kept[1]:
                yield f"{request} has another answer than before: {answer.response} (P7)"
            elif not answer.replayed:
                yield f"{request} has its old answer, but not as a replay (P7)"
        elif not refused:
            yield f"{request} has the key of {kept[0]}, and was not refused (P7)"

    def recheck(self, witness: Witness) -> Iterator[str]:
        """After a restart: everything acknowledged is still there, and nothing of it twice."""
        for request, trace in self._evidence.values():
            if witness.traces.get(request.id, Trace()) != trace:
                yield f"{request} was acknowledged, and its events are not what they were: {trace.events} (P3)"

    def doubled(self, witness: Witness) -> Iterator[str]:
        """Requests with a key that happened more than once, whether or not anybody heard of it."""
        for id_, trace in witness.traces.items():
            if id_ and len(trace.causes) > 1:
                yield f"{id_} happened {len(trace.causes)} times (P7)"
