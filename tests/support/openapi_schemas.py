"""Checks of real responses against the OpenAPI document."""

from typing import Any

import msgspec
from innkeeper.http.api.openapi import document
from jsonschema import Draft202012Validator
from support.gateway import HttpResponse

DOCUMENT = msgspec.json.decode(msgspec.json.encode(document()))
OPERATIONS = {
    operation["operationId"]: operation for methods in DOCUMENT["paths"].values() for operation in methods.values()
}


def check_response(operation: str, reply: HttpResponse) -> None:
    """Check that a response has a documented status, media type and schema, and no other fields."""
    documented = OPERATIONS[operation]["responses"][str(reply.status)]
    media = reply.headers["content-type"].partition(";")[0]
    assert media in documented["content"], (operation, reply)
    if operation not in ("show_metrics", "show_openapi", "show_asyncapi", "show_docs", "show_front_desk"):
        _check_form(documented["content"][media]["schema"], reply.json)


def _check_form(schema: dict[str, Any], body: dict[str, Any]) -> None:
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(body)
    schema_of_type = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert body.keys() <= schema_of_type["properties"].keys()
