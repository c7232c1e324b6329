"""The answers that the clients have, checked against the journal and later answers (P3, P7).

A request has its id as correlation id in all its retries, so that its effects can be found among the events.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import GuestErased, IdempotencyKeyReused, Refusal, Unavailable
from innkeeper.protocol.values.guests import guests_in
from simulation.event_model import EventModel, Trace


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a client; with a key it can be repeated until it is answered."""

    id: str
    message: Command | Query
    key: str | None = None
    if_version: int | None = None

    def envelope(self) -> Envelope:
        """The envelope for the partition."""
        return Envelope(self.message, self.key, self.id, "client", self.if_version)

    def __str__(self) -> str:
        return f"{self.id} ({type(self.message).__name__}, key {self.key})"


class ClientRecord:
    """Every definite answer, and the events of its request."""

    def __init__(self) -> None:
        self.unanswered: dict[str, Request] = {}
        self.answered: dict[str, Request] = {}
        self._answers: dict[str, tuple[Request, bytes]] = {}
        self._requests: dict[str, list[Request]] = {}
        self._traces: dict[str, tuple[Request, Trace]] = {}

    def record_request(self, request: Request) -> None:
        """Record that a client sends a request."""
        if request.key is not None:
            self._requests.setdefault(request.key, []).append(request)
            if request.id not in self.answered:
                self.unanswered[request.id] = request

    def record_answer(self, request: Request, answer: Result, trace: Trace) -> Iterator[str]:
        """Record the answer to a request, whose effects are `trace`; the violations."""
        if isinstance(answer.response, Unavailable):
            return
        yield from self._check_trace(request, answer, trace)
        self._traces[request.id] = (request, Trace(list(trace.events), set(trace.causes)))
        if request.key is not None:
            self.unanswered.pop(request.id, None)
            self.answered[request.id] = request
            yield from self._check_replay(request, answer)

    def _check_trace(self, request: Request, answer: Result, trace: Trace) -> Iterator[str]:
        if len(trace.causes) > 1:
            yield f"{request} was executed {len(trace.causes)} times (P7)"
        is_refused = isinstance(answer.response, Refusal) and not isinstance(answer.response, GuestErased)
        if is_refused and trace.events:
            yield f"{request} was refused, but recorded {trace.events} (P9)"
        if isinstance(request.message, Query) and trace.events:
            yield f"{request} is a query, but recorded {trace.events}"

    def _check_replay(self, request: Request, answer: Result) -> Iterator[str]:
        """A repeated key has the same answer for the same message, and a refusal for any other."""
        assert request.key is not None
        refused = isinstance(answer.response, IdempotencyKeyReused)
        encoded = wire.encode(answer.response)
        earlier = self._answers.get(request.key)
        if earlier is None:
            others = [
                request_with_key
                for request_with_key in self._requests[request.key]
                if request_with_key.message != request.message
            ]
            if not refused:
                self._answers[request.key] = (request, encoded)
            elif not others:
                yield f"{request} is refused as a reused key, but its key is new (P7)"
        elif earlier[0].message == request.message:
            if isinstance(answer.response, GuestErased):
                before = wire.decode(earlier[1])
                if not isinstance(before, GuestErased) and not guests_in(before):
                    yield f"{request} is refused because of a guest, but its answer had none (P7)"
            elif encoded != earlier[1]:
                yield f"{request} has another answer than before: {answer.response} (P7)"
            elif not answer.replayed:
                yield f"{request} has its earlier answer, but not as a replay (P7)"
        elif not refused:
            yield f"{request} has the key of {earlier[0]}, but was not refused (P7)"

    def recheck(self, model: EventModel) -> Iterator[str]:
        """After a restart the events of each acknowledged request are unchanged; the violations."""
        for request, trace in self._traces.values():
            if model.traces.get(request.id, Trace()) != trace:
                yield f"{request} was acknowledged, but its events have changed: {trace.events} (P3)"

    def repeated(self, model: EventModel) -> Iterator[str]:
        """Requests that were executed more than once, whether or not they were answered."""
        for id_, trace in model.traces.items():
            if id_ and len(trace.causes) > 1:
                yield f"{id_} was executed {len(trace.causes)} times (P7)"
