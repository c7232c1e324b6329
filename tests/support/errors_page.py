"""Writes docs/errors.md, the page of all codes of errors, from the OpenAPI document: make errors"""

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from innkeeper.http.problem_codes import PROBLEM_CODES
from support.events_page import Schema, fields_of, text_of, type_row
from support.paths import ROOT
from support.problem_schemas import code_schemas, openapi

PAGE = ROOT / "docs" / "errors.md"

_OF_EVERY_PROBLEM = ("status", "code")
_INTRODUCTION = """\
# Errors

Every error of a route is a problem document (RFC 9457, `application/problem+json`). Its `code` is stable, and says to
programs what is wrong; `detail` says it to people. This page is made from the types of the refusals (`make errors`);
the same, for programs, is the OpenAPI document at `/openapi.json`, with a schema for each code and a response for each
status.
"""
_FIELDS = "Every problem has these fields; `errors` is empty where the code says nothing about it:"


def page() -> str:
    """The whole page."""
    fields = openapi()["components"]["schemas"]["Problem"]["properties"] | {"code": {"type": "string"}}
    every = fields_of({"properties": fields, "required": fields.keys()})
    blocks = [_INTRODUCTION, f"{_FIELDS} {every}.", "## Codes", _codes(), "## Types of fields"]
    return "\n\n".join(block.strip() for block in (*blocks, _types())) + "\n"


def _codes() -> str:
    lines = ["| status | code | what it means | its own fields |", "|---|---|---|---|"]
    for code in PROBLEM_CODES:
        fields = fields_of(_own(code.name)) or "none"
        lines.append(f"| {code.status} | `{code.name}` | {text_of(code.meaning)} | {fields} |")
    return "\n".join(lines)


def _own(code: str) -> Schema:
    """The fields of a code beside those of every problem."""
    schema = code_schemas()[code]
    own = {name: field for name, field in schema["properties"].items() if name not in _OF_EVERY_PROBLEM}
    return {"properties": own, "required": schema["required"]}


def _types() -> str:
    """The table of the types that fields of problems have."""
    schemas = openapi()["components"]["schemas"]
    sought = ["FieldError", *(name for code in PROBLEM_CODES for name in _named(_own(code.name)))]
    names = dict.fromkeys(sought)
    for name in sought:
        names |= dict.fromkeys(_named(schemas[name]))
    lines = ["| type | what it says | fields, or values |", "|---|---|---|"]
    return "\n".join([*lines, *(type_row(name, schemas[name]) for name in sorted(names))])


def _named(schema: Schema) -> list[str]:
    return re.findall(r'"#/components/schemas/(\w+)"', json.dumps(schema))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written")
