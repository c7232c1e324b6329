"""Judges what was observed on a damaged data directory against what was observed on the undamaged one."""

from collections import Counter
from enum import StrEnum
from http import HTTPStatus
from typing import Any, NamedTuple

from innkeeper.protocol.values.operator_error import EXIT_DAMAGED, EXIT_FAILED
from torture.observer import Observation

_UNAVAILABLE = HTTPStatus.SERVICE_UNAVAILABLE


class Verdict(StrEnum):
    """What became of a damage."""

    REFUSED = "refused clearly"
    """The program ended with one line and exit code 4 or 5; or it said in its log what it cannot do, answered 503 to
    what needs it, and shows the subscriber that it stopped as stalled."""
    REBUILT = "rebuilt"
    """All answers are those of the undamaged one, and the program said what it has repaired or left out."""
    SAME = "same answers"
    """All answers are those of the undamaged one: the damage is in bytes that nobody needs."""
    WRONG = "silently wrong"
    """Anything else: other answers, a traceback, an end without a clear message, or no end."""


class Judgement(NamedTuple):
    """A verdict and its reason."""

    verdict: Verdict
    reason: str = ""


def judge(found: Observation, expected: Observation) -> Judgement:
    """Judge an observation, against that of the undamaged data directory."""
    if found.faults:
        return Judgement(Verdict.WRONG, found.faults[0])
    if found.message:
        is_clear = "\n" not in found.message and found.exit_code in (EXIT_DAMAGED, EXIT_FAILED)
        return Judgement(Verdict.REFUSED if is_clear else Verdict.WRONG, f"exit {found.exit_code}: {found.message}")
    said = [warning for warning in found.warnings if warning not in expected.warnings]
    differing = [name for name in expected.answers if found.answers.get(name) != expected.answers[name]]
    if not differing:
        return Judgement(Verdict.REBUILT if said else Verdict.SAME, said[0] if said else "")
    wrong = [name for name in differing if not _is_refused(expected.answers[name], found.answers.get(name), found)]
    if said and not wrong:
        return Judgement(Verdict.REFUSED, said[0])
    name = (wrong or differing)[0]
    difference = _difference(expected.answers[name], found.answers.get(name))
    return Judgement(Verdict.WRONG, f"{name}: {difference} ({len(differing)} answers differ; it said: {said})")


def _is_refused(expected: Any, answer: Any, found: Observation) -> bool:
    """Whether an answer differs only in what is refused (503), or is missing because a subscriber says that it is
    stalled."""
    if answer in (expected, _UNAVAILABLE):
        return True
    if isinstance(answer, dict) and (answer.get("status") == _UNAVAILABLE or answer.get("stalled")):
        return True
    if isinstance(expected, dict) and isinstance(answer, dict):
        return all(_is_refused(expected.get(name), answer.get(name), found) for name in {**expected, **answer})
    if isinstance(expected, list) and isinstance(answer, list):
        if len(expected) == len(answer):
            return all(_is_refused(one, other, found) for one, other in zip(expected, answer, strict=True))
        texts = [one for one in (*expected, *answer) if not isinstance(one, str)]
        return not texts and _is_stalled(found) and Counter(answer) <= Counter(expected)
    return False


def _is_stalled(found: Observation) -> bool:
    """Whether a subscriber says that it is stalled."""
    answer = found.answers.get("some days later", {})
    return any(subscriber.get("stalled") for subscriber in answer.get("subscribers", ()))


def _difference(expected: Any, found: Any, where: str = "") -> str:
    """The first difference between two values."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in {**expected, **found}:
            if expected.get(name) != found.get(name):
                return _difference(expected.get(name), found.get(name), f"{where}.{name}")
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            if one != other:
                return _difference(one, other, f"{where}[{number}]")
    return f"{where} is {found!r:.300} instead of {expected!r:.300}"
