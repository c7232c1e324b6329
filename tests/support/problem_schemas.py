"""Checks of real problems against the OpenAPI document. `support.gateway` makes them for each that a test receives."""

import re
from functools import cache
from typing import Any

import msgspec
from innkeeper.http.api.openapi import document
from jsonschema import Draft202012Validator

MEDIA_TYPE = "application/problem+json"
METHOD_NOT_ALLOWED = 405  # of methods that are no operation of their path

Schema = dict[str, Any]


@cache
def openapi() -> Schema:
    """The document as clients get it."""
    decoded: Schema = msgspec.json.decode(msgspec.json.encode(document()))
    return decoded


def resolved(part: Schema) -> Schema:
    """A part of the document, or what it refers to."""
    while "$ref" in part:
        found = openapi()
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def schemas_of(response: Schema) -> list[Schema]:
    """The schemas of the problems that a response of an operation can have."""
    schema = resolved(response)["content"][MEDIA_TYPE]["schema"]
    return [resolved(one) for one in schema.get("oneOf", [schema])]


@cache
def code_schemas() -> dict[str, Schema]:
    """The schema of each code, of the responses of all statuses."""
    found = openapi()["components"]["responses"]
    every = [schema for name, response in found.items() if name != "Problem" for schema in schemas_of(response)]
    schemas = {schema["properties"]["code"]["const"]: schema for schema in every}
    assert len(schemas) == len(every), "a code has two schemas"
    return schemas


def validate(schema: Schema, body: Schema) -> None:
    """Check that a body conforms to a schema of the document."""
    Draft202012Validator({**schema, "components": openapi()["components"]}).validate(body)


def check_problem(status: int, body: Schema, method: str = "", path: str = "") -> None:
    """Check that a problem has a documented code, the status and fields of that code and no other fields, and that the
    operation at this path, if there is one, can have it."""
    problem = openapi()["components"]["schemas"]["Problem"]["properties"]
    schema = code_schemas()[body["code"]]
    validate(schema, body)
    assert body["status"] == status, body
    assert body.keys() == problem.keys() | schema["properties"].keys(), body
    responses = _responses_at(method, path)
    if responses and status != METHOD_NOT_ALLOWED:
        assert schema in schemas_of(responses.get(str(status), responses["default"])), (method, path, body)


def _responses_at(method: str, path: str) -> Schema:
    """The responses of the operation that a request reaches, which is that with the fewest parameters."""
    sought = path.partition("?")[0]
    matching = [one for one in openapi()["paths"] if _pattern(one).fullmatch(sought)]
    for found in sorted(matching, key=lambda one: one.count("{")):
        if method.lower() in openapi()["paths"][found]:
            responses: Schema = openapi()["paths"][found][method.lower()]["responses"]
            return responses
    return {}


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
