"""Words a decoder's error for the person who made the request: which field breaks which rule, and what is expected."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from innkeeper.protocol.messages.refusals import FieldError, InvalidRequest, Refused, invalid
from innkeeper.protocol.values.sentences import counted, one_of
from msgspec import inspect

_PATH = re.compile(r" - at `\$\.?(.*)`$", re.DOTALL)
_STEP = re.compile(r"([^.\[\]]+)|\[(?:\d+|\.\.\.)\]")
_MISSING = re.compile(r"missing required field `(.*)`")
_UNKNOWN = re.compile(r"contains unknown field `(.*)`")
_DATE = re.compile(r"Invalid RFC3339 encoded date")
_LENGTH = re.compile(r"Expected `(\w+)` of length (>=|<=) (\d+)")
_BOUND = re.compile(r"Expected `\w+` (>=|<=) (\S+)")
_TYPE = re.compile(r"Expected `(.*)`, got `(.*)`")
_BOUND_WORDS = {">=": "at least", "<=": "at most"}
_TYPE_WORDS = {
    "str": "text", "int": "a whole number", "float": "a decimal number", "bool": "true or false", "array": "a list",
    "object": "an object", "date": "a date such as 2026-06-01", "null": "null",
}  # fmt: skip


def refusal_of(error: msgspec.ValidationError, kind: Any) -> Refused:
    """The refusal for an error in decoding a value of this type, with the full path of the field."""
    text = str(error)
    match = _PATH.search(text)
    path = match[1] if match else ""
    cause = error.__cause__
    if isinstance(cause, Refused) and isinstance(cause.refusal, InvalidRequest):
        found = [FieldError(_join(path, e.field), e.rule, e.message) for e in cause.refusal.errors]
        return Refused(InvalidRequest(tuple(found)))
    text = _PATH.sub("", text)
    for pattern, rule, message in (
        (_MISSING, "required", "this field is required"),
        (_UNKNOWN, "unknown", "this field does not exist"),
    ):
        if match := pattern.search(text):
            return invalid(_join(path, match[1]), rule, message)
    return invalid(path or "body", *_broken_rule(text, path, kind))


def _broken_rule(text: str, path: str, kind: Any) -> tuple[str, str]:
    """The rule that the value at this path breaks, and what is expected of it."""
    if _DATE.search(text):
        return "date", "expected a date that exists, as YYYY-MM-DD"
    if match := _LENGTH.search(text):
        what = "character" if match[1] == "str" else "entry"
        return "length", f"expected {_BOUND_WORDS[match[2]]} {counted(int(match[3]), what)}"
    if match := _BOUND.search(text):
        return "range", f"expected a number of {_BOUND_WORDS[match[1]]} {int(match[2]):,}"
    if "out of range" in text:
        return "range", "the number is too large"
    if "matching regex" in text:
        return "form", f"expected {_descriptions(kind, path)}"
    if "Invalid enum value" in text:
        return "one_of", f"expected {one_of([*_allowed_values(kind, path)])}"
    if match := _TYPE.search(text):
        expected, got = (one_of([_TYPE_WORDS.get(one, one) for one in part.split(" | ")]) for part in match.groups())
        return "type", f"expected {expected}, got {got}"
    return "form", text


def _descriptions(kind: Any, path: str) -> str:
    """What the constrained type of a field says of itself."""
    found = [
        one.extra_json_schema["description"]
        for one in _types_at(inspect.type_info(kind), path)
        if isinstance(one, inspect.Metadata) and one.extra_json_schema
    ]
    return one_of(found)


def _allowed_values(kind: Any, path: str) -> Iterator[str]:
    for one in _types_at(inspect.type_info(kind), path):
        if isinstance(one, inspect.EnumType):
            yield from (str(member.value) for member in one.cls)
        elif isinstance(one, inspect.LiteralType):
            yield from map(str, one.values)


def _types_at(kind: inspect.Type, path: str) -> list[inspect.Type]:
    """The types that a value may have at a path such as `room_types[0].code`."""
    kinds = [kind]
    for step in _STEP.finditer(path):
        kinds = [within for one in _alternatives(kinds) for within in _within(one, step[1])]
    return [*_alternatives(kinds)]


def _alternatives(kinds: list[inspect.Type]) -> Iterator[inspect.Type]:
    """These types, those of unions, and those that have metadata."""
    for kind in kinds:
        yield kind
        if isinstance(kind, inspect.UnionType):
            yield from _alternatives([*kind.types])
        elif isinstance(kind, inspect.Metadata):
            yield from _alternatives([kind.type])


def _within(kind: inspect.Type, field: str | None) -> Iterator[inspect.Type]:
    """The type of a field, or where that is None of an entry of a list."""
    if isinstance(kind, inspect.StructType) and field is not None:
        yield from (one.type for one in kind.fields if one.encode_name == field)
    elif isinstance(kind, inspect.VarTupleType) and field is None:
        yield kind.item_type


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field
