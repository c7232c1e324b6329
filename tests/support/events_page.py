"""Writes docs/events.md, the page of all events, from the AsyncAPI document and the docstrings: make events"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[1]))

from innkeeper.http.api.asyncapi import document, schema_name
from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from support.installations import INSTALLATION
from support.paths import ROOT

PAGE = ROOT / "docs" / "events.md"
GUEST_PARTS = ("guest", "buyer")
"""The fields that may hold a guest's details; those of no other field do."""

_GOLDEN = ROOT / "tests" / "golden" / "events.txt"
_EXAMPLES = (
    ("innkeeper.booking.confirmed.v1", 42, "front desk", "3f0c7a52-web", "01a2089e-623e-7e51-807d-23e452ec2280"),
    ("innkeeper.booking.hold_expired.v1", 43, "system", "", "due:hold-expiry:2026-06-01T12:15:00Z"),
    ("innkeeper.folio.charge_posted.v1", 7, "front desk", "9b1e44d0-web", "hotel-do-mar:42"),
)
_AT = 1_780_316_100_000_000  # 2026-06-01 12:15 UTC, in microseconds
_TYPES = {
    "string": "text",
    "integer": "integer",
    "boolean": "true or false",
    "null": "null",
    "date": "date",
    "date-time": "instant",
}
_INTRODUCTION = """\
# Events

Every event as others get it: through `GET /v1/events`, the live stream, webhooks, RabbitMQ, Kafka and the archive. This
page is made from the classes of the events (`make events`); the same, for programs, is the AsyncAPI document at
`/asyncapi.json`, with a JSON Schema for each type and version.

An event never changes. Where its fields change, its type gets another version. A field in *italics* may be left out; it
then has the value in parentheses.
"""

Schema = dict[str, Any]


def page() -> str:
    """The whole page."""
    schemas: Schema = document(INSTALLATION)["components"]["schemas"]
    envelope = schemas["CloudEvent"]
    blocks = [_INTRODUCTION, "## The envelope", text_of(envelope["description"]), f"{fields_of(envelope)}."]
    for context in dict.fromkeys(kind.context for kind in wire.ALL_EVENTS):
        kinds = [kind for kind in wire.ALL_EVENTS if kind.context == context]
        blocks += [f"## {context.capitalize()}", *_module_text(kinds[0]), _events(kinds, schemas)]
    blocks += ["## Types of fields", _nested(schemas), "## Examples", *_examples()]
    return "\n\n".join(block.strip() for block in blocks) + "\n"


def _events(kinds: list[type[Event]], schemas: Schema) -> str:
    lines = ["| type | what it says | fields of `data` | details of a guest |", "|---|---|---|---|"]
    for kind in kinds:
        schema = schemas[schema_name(kind)]
        first, more = _sentences(schema["description"])
        guest = ", ".join(f"`{part}`" for part in GUEST_PARTS if part in schema["properties"])
        fields = f"{fields_of(schema)}. {more}".strip(". ") + "." if schema["properties"] else more
        lines.append(f"| `{wire.type_name(kind)}` | {first} | {fields} | {guest or 'none'} |")
    return "\n".join(lines)


def _nested(schemas: Schema) -> str:
    """The table of the types that fields of events have."""
    events = {schema_name(kind) for kind in wire.ALL_EVENTS}
    lines = ["| type | what it says | fields, or values |", "|---|---|---|"]
    lines += [type_row(name, schemas[name]) for name in sorted(schemas.keys() - events - {"CloudEvent", "Event"})]
    return "\n".join(lines)


def type_row(name: str, schema: Schema) -> str:
    """The row of a type that fields have, to which their types link."""
    content = fields_of(schema) if "properties" in schema else ", ".join(f"`{value}`" for value in schema["enum"])
    return f'| <a name="{name.lower()}"></a>{name} | {text_of(schema["description"])} | {content} |'


def fields_of(schema: Schema) -> str:
    """The fields of an object with their types."""
    required = schema.get("required", ())
    fields = []
    for name, field in schema["properties"].items():
        usual = f" (`{json.dumps(field['default'])}`)" if "default" in field else ""
        fields.append(f"`{name}`: {_type(field)}" if name in required else f"*`{name}`*: {_type(field)}{usual}")
    return ", ".join(fields)


def _type(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "the event" if name == "Event" else f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    return _TYPES[schema.get("format") or schema["type"]]


def text_of(docstring: str) -> str:
    """A docstring as text in a cell of a table."""
    return " ".join(docstring.split()).replace("|", "\\|")


def _sentences(docstring: str) -> tuple[str, str]:
    """The first sentence, and the others."""
    first, more = re.fullmatch(r"(.*?\.)(?:\s(.*))?", text_of(docstring)).groups()  # type: ignore[union-attr]
    return first, more or ""


def _module_text(kind: type[Event]) -> Iterator[str]:
    """What the module of an event says of all its events, such as the units of amounts."""
    for paragraph in (sys.modules[kind.__module__].__doc__ or "").strip().split("\n\n"):
        yield text_of(paragraph)


def _examples() -> Iterator[str]:
    """Events of the golden file as others get them."""
    bodies = dict(line.split() for line in _GOLDEN.read_text(encoding="utf-8").splitlines())
    for position, (name, number, by, request, cause) in enumerate(_EXAMPLES, start=118):
        event = wire.decode_event(name, bytes.fromhex(bodies[name]))
        record = RecordedEvent("hotel-do-mar", number, _AT, by, request, cause, event)
        shown = msgspec.json.format(cloud_event_json((position, record)), indent=2).decode()
        yield f"```json\n{shown}\n```"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written")
