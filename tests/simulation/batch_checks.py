"""Matches the answers of a batch with its events, so that each answer is checked against the model at its moment.

A hotel executes its commands one after the other, and what is due before each. The model for an answer has the events
of all requests up to it, and none of a later one.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from innkeeper.protocol.messages.envelope import Result
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import IdempotencyKeyReused, Refusal, Unavailable
from simulation.answer_checks import check_answer
from simulation.client_record import ClientRecord, Request
from simulation.event_model import EventModel, Trace

Answers = Sequence[tuple[Request, Result]]


def check_batch(
    model: EventModel, record: ClientRecord, answers: Answers, records: Iterable[RecordedEvent]
) -> Iterator[str]:
    """Apply the events of a batch to the model; the violations in its answers."""
    commands_of: dict[str, deque[list[RecordedEvent]]] = {}
    for recorded in records:
        commands = commands_of.setdefault(recorded.hotel, deque())
        if recorded.cause and commands and commands[-1][-1].cause == recorded.cause:
            commands[-1].append(recorded)
        else:
            commands.append([recorded])
    answered: set[str] = set()
    remaining = Counter(request.id for request, _ in answers)
    for request, answer in answers:
        commands = commands_of.get(request.message.hotel, deque())
        _apply_commands(model, commands, "")
        version = _version(model, request)
        remaining[request.id] -= 1
        unavailable = isinstance(answer.response, Unavailable)  # perhaps it is executed at the next attempt
        if request.id not in answered and not (unavailable and remaining[request.id]):
            _apply_commands(model, commands, request.id)
        if not unavailable:
            answered.add(request.id)
        for violation in _violations(model, record, request, answer, version):
            yield f"{request}: {violation}"
    for commands in commands_of.values():
        for command in commands:
            model.handle(command)


def _apply_commands(model: EventModel, commands: deque[list[RecordedEvent]], correlation: str) -> None:
    while commands and commands[0][0].correlation == correlation:
        model.handle(commands.popleft())


def _version(model: EventModel, request: Request) -> int | None:
    facts = model.bookings.get(getattr(request.message, "booking", ""))
    return None if facts is None else facts.version


def _violations(
    model: EventModel, record: ClientRecord, request: Request, answer: Result, version: int | None
) -> Iterator[str]:
    yield from record.record_answer(request, answer, model.traces.get(request.id, Trace()))
    if answer.replayed or isinstance(answer.response, IdempotencyKeyReused | Unavailable):
        return
    yield from check_answer(model, request.message, answer.response)
    expected = request.if_version
    if expected not in (None, version) and not isinstance(answer.response, Refusal):
        yield f"it was for version {expected}, but was executed on version {version}"
