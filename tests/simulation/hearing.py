"""Lines up a batch's answers with its events, so that each answer is judged by the facts of its own moment.

A hotel takes its orders one after the other, and what falls due by itself before each. So the facts of an answer are
those after all events of the requests up to it, and before any event of a later one.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence

from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import KeyReused, Refusal, Unavailable
from innkeeper.protocol.ports.message_bus import Result
from simulation.judge import judge
from simulation.ledger import Ledger, Request
from simulation.witness import Trace, Witness

Heard = Sequence[tuple[Request, Result]]


def subscribe(witness: Witness, ledger: Ledger, heard: Heard, records: Iterable[RecordedEvent]) -> Iterator[str]:
    """Take in what a batch has done, and say what is wrong with what it answered."""
    happened: dict[str, deque[list[RecordedEvent]]] = {}
    for record in records:
        commands = happened.setdefault(record.hotel, deque())
        if record.cause and commands and commands[-1][-1].cause == record.cause:
            commands[-1].append(record)
        else:
            commands.append([record])
    seen: set[str] = set()
    to_come = Counter(request.id for request, _ in heard)
    for request, answer in heard:
        commands = happened.get(request.message.hotel, deque())
        _let_pass(witness, commands, "")
        version = _version(witness, request)
        to_come[request.id] -= 1
        in_vain = isinstance(answer.response, Unavailable)  # perhaps it is heard at the next attempt
        if request.id not in seen and not (in_vain and to_come[request.id]):
            _let_pass(witness, commands, request.id)
        if not in_vain:
            seen.add(request.id)
        for fault in _faults(witness, ledger, request, answer, version):
            yield f"{request}: {fault}"
    for commands in happened.values():
        for command in commands:
            witness.handle(command)


def _let_pass(witness: Witness, commands: deque[list[RecordedEvent]], correlation: str) -> None:
    while commands and commands[0][0].correlation == correlation:
        witness.handle(commands.popleft())


def _version(witness: Witness, request: Request) -> int | None:
    facts = witness.bookings.get(getattr(request.message, "booking", ""))
    return None if facts is None else facts.version


def _faults(witness: Witness, ledger: Ledger, request: Request, answer: Result, version: int | None) -> Iterator[str]:
    yield from ledger.heard(request, answer, witness.traces.get(request.id, Trace()))
    if answer.replayed or isinstance(answer.response, KeyReused | Unavailable):
        return
    yield from judge(witness, request.message, answer.response)
    wanted = request.if_version
    if wanted not in (None, version) and not isinstance(answer.response, Refusal):
        yield f"it was for version {wanted}, and was done to version {version}"
