"""The refusals that all contexts share. A refusal changes nothing, and names what the caller can do about it.

A refusal is returned like a reply; `Refused` is the exception that carries one out of a value or a rule.
"""

from typing import ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True, gc=False):
    """One field that breaks one rule. `field` is a dotted path (`guest.name`); `rule` is a stable identifier."""

    field: str
    rule: str
    message: str


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """The base of all refusals; `code` is stable and part of the API."""

    code: ClassVar[str]


class InvalidRequest(Refusal, frozen=True):
    """The request is invalid, whatever the state of the hotel; `errors` names the fields and the rules that they
    break."""

    code: ClassVar[str] = "invalid"
    errors: tuple[FieldError, ...]


class NotFound(Refusal, frozen=True):
    """The hotel, booking or other object does not exist: `kind` is what was sought, `name` which one."""

    code: ClassVar[str] = "not_found"
    kind: str
    name: str


class ActionNotAllowed(Refusal, frozen=True):
    """The status of the booking, payment or document, or the business date, does not allow this action; `allowed` names
    the actions that it allows."""

    code: ClassVar[str] = "not_allowed"
    action: str
    reason: str
    allowed: tuple[str, ...]


class StaleVersion(Refusal, frozen=True):
    """The version that the caller expects (`If-Match`) is not the current one, which is `version`."""

    code: ClassVar[str] = "stale_version"
    version: int


class BadSignature(Refusal, frozen=True):
    """The signature of a payment provider's notification is wrong, or too old."""

    code: ClassVar[str] = "bad_signature"
    reason: str


class GuestErased(Refusal, frozen=True):
    """The reply that was given under this idempotency key had details of a guest who is forgotten. What the command did
    stays done, and is not done again."""

    code: ClassVar[str] = "guest_forgotten"


class IdempotencyKeyReused(Refusal, frozen=True):
    """The idempotency key was used before, with another request."""

    code: ClassVar[str] = "idempotency_key_reused"


class Unavailable(Refusal, frozen=True):
    """A part of the server is overloaded, stops or does not answer, or cannot read or write what is stored. The caller
    can try again: nothing was acknowledged.
    Where `unknown`, the command may have been carried out, as when the connection is lost before the result. Where
    `hotel_failed`, the command made its hotel fail, or was in a batch with one that did: it may do so again."""

    code: ClassVar[str] = "unavailable"
    reason: str
    unknown: bool = False
    hotel_failed: bool = False


class Refused(ValueError):
    """Carries a refusal to the caller."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(repr(refusal))
        self.refusal = refusal


def invalid(field: str, rule: str, message: str) -> Refused:
    """Returns the exception that refuses one field."""
    return Refused(InvalidRequest((FieldError(field, rule, message),)))
