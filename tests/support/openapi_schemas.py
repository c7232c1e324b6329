"""What the OpenAPI document promises, to hold real answers against."""

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
    """The answer has the status, the media type and the form that the document promises, and no field more."""
    promised = OPERATIONS[operation]["responses"][str(reply.status)]
    media = reply.headers["content-type"].partition(";")[0]
    assert media in promised["content"], (operation, reply)
    if operation not in ("show_metrics", "show_openapi", "show_asyncapi", "show_docs", "show_front_desk"):
        _check_form(promised["content"][media]["schema"], reply.json)


def _check_form(schema: dict[str, Any], told: dict[str, Any]) -> None:
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(told)
    form = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert told.keys() <= form["properties"].keys()
