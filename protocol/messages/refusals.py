"""Why something was not done. A refusal changes nothing, and says what the caller can do about it.

`Refused` is the exception that carries a refusal out of a value or a rule; a refusal itself is a reply like any other.
"""

from typing import ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True, gc=False):
    """One field that broke one rule. `field` is a dotted path (`guest.name`); `rule` is a stable word."""

    field: str
    rule: str
    message: str


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The base of all refusals; `code` is stable and part of the API."""

    code: ClassVar[str]


class Invalid(Refusal, frozen=True):
    """What was asked cannot be right, whatever the state of the hotel."""

    code: ClassVar[str] = "invalid"
    errors: tuple[FieldError, ...]


class NotFound(Refusal, frozen=True):
    """There is no such hotel or booking here."""

    code: ClassVar[str] = "not_found"
    kind: str
    name: str


class NotAllowed(Refusal, frozen=True):
    """The booking's status or the business date does not allow this action; `allowed` names the ones that are."""

    code: ClassVar[str] = "not_allowed"
    action: str
    reason: str
    allowed: tuple[str, ...]


class StaleVersion(Refusal, frozen=True):
    """The caller saw another version than the one that stands now."""

    code: ClassVar[str] = "stale_version"
    version: int


class BadSignature(Refusal, frozen=True):
    """A message did not come from whom it says, or not lately."""

    code: ClassVar[str] = "bad_signature"
    reason: str


class KeyReused(Refusal, frozen=True):
    """The idempotency key was used before, for something else."""

    code: ClassVar[str] = "idempotency_key_reused"


class Unavailable(Refusal, frozen=True):
    """Not now: too busy, or the effects could not be put on disk. Nothing was acknowledged; try again. Where `unknown`
    it may have been done all the same, as where the line was lost before the answer."""

    code: ClassVar[str] = "unavailable"
    reason: str
    unknown: bool = False


class Refused(ValueError):
    """Carries a refusal to whoever asked."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(repr(refusal))
        self.refusal = refusal


def invalid(field: str, rule: str, message: str) -> Refused:
    """The refusal of one field."""
    return Refused(Invalid((FieldError(field, rule, message),)))
