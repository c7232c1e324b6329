"""Checks of real responses against the OpenAPI document."""

from support.gateway import HttpResponse
from support.problem_schemas import MEDIA_TYPE, openapi, resolved, validate

DOCUMENT = openapi()
OPERATIONS = {
    operation["operationId"]: operation for methods in DOCUMENT["paths"].values() for operation in methods.values()
}

_WITHOUT_SCHEMA = ("show_metrics", "show_openapi", "show_asyncapi", "show_docs", "show_front_desk")


def check_response(operation: str, reply: HttpResponse) -> None:
    """Check that a response has a documented status, media type and schema, and no other fields."""
    documented = resolved(OPERATIONS[operation]["responses"][str(reply.status)])
    media = reply.headers["content-type"].partition(";")[0]
    assert media in documented["content"], (operation, reply)
    if media == MEDIA_TYPE or operation in _WITHOUT_SCHEMA:
        return  # `support.gateway` checks each problem
    schema = documented["content"][media]["schema"]
    validate(schema, reply.json)
    assert reply.json.keys() <= resolved(schema)["properties"].keys()
