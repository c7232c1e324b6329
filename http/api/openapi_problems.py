"""The problems of the OpenAPI document: a schema for each code, with its own fields, and a response for each status,
with the codes that it can have. The rules do not declare which of their refusals an operation can give, so all
operations that can have a status share its response."""

from itertools import groupby
from typing import Any

from innkeeper.http.api.operation import Operation
from innkeeper.http.api.resources import Problem
from innkeeper.http.problem_codes import HEADERS, PROBLEM_CODES, STATUS, ProblemCode

Schema = dict[str, Any]

PROBLEM_FORMS = (Problem, *STATUS)
"""The types whose schemas are needed for those of problems."""

MEDIA_TYPE = "application/problem+json"
_PROBLEM = "#/components/schemas/Problem"
_EVERY = (400, 401, 403, 404, 421, 422, 500, 503)
_WITH_BODY = (408, 413, 415)
_OF_HEALTH = (500, 503)


def replace_refusals(components: Schema, schemas: dict[Any, Schema]) -> None:
    """Replaces the components of the refusals, whose schemas these are, by those of problems with their codes."""
    own = {kind: components.pop(schemas[kind]["$ref"].rpartition("/")[2])["properties"] for kind in STATUS}
    problem = components["Problem"]
    fields = problem["properties"]
    fields["code"] |= {"enum": sorted(code.name for code in PROBLEM_CODES)}
    for code in PROBLEM_CODES:
        members = own[code.refusal] if code.refusal else {}
        more = {name: field for name, field in members.items() if name not in fields}
        components[schema_name(code)] = {
            "description": code.meaning,
            "allOf": [{"$ref": _PROBLEM}],
            "type": "object",
            "properties": {"status": {"const": code.status}, "code": {"const": code.name}, **more},
            "required": ["status", "code", *more],
        }


def schema_name(code: ProblemCode) -> str:
    """The name of the component for problems with this code: `SoldOutProblem`."""
    return "".join(word.capitalize() for word in code.name.split("_")) + "Problem"


def problem_responses() -> Schema:
    """The response of each status, for all operations that can have it, and one for any problem."""
    by_status = groupby(PROBLEM_CODES, key=lambda code: code.status)
    return {
        **{_response_name(status): _response(list(codes)) for status, codes in by_status},
        "Problem": {
            "description": "Another problem; `code` says which",
            "content": {MEDIA_TYPE: {"schema": {"$ref": _PROBLEM}}},
        },
    }


def _response_name(status: int) -> str:
    return f"Problem{status}"


def _response(codes: list[ProblemCode]) -> Schema:
    """A response that has one of these codes, with what each means."""
    response: Schema = {"headers": headers} if (headers := _headers(codes[0].status)) else {}
    references = {code.name: f"#/components/schemas/{schema_name(code)}" for code in codes}
    meanings = [f"`{code.name}`: {code.meaning}" for code in codes]
    if len(codes) == 1:
        (description,), (reference,) = meanings, references.values()
        return {"description": description, **response, "content": {MEDIA_TYPE: {"schema": {"$ref": reference}}}}
    schema = {
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "code", "mapping": references},
    }
    listed = "\n".join(f"- {one}" for one in meanings)
    return {"description": listed, **response, "content": {MEDIA_TYPE: {"schema": schema}}}


def _headers(status: int) -> Schema:
    return {name: {"schema": {"type": "string"}, "example": text} for name, text in HEADERS.get(status, {}).items()}


def responses_of(each: Operation, takes_version: bool) -> Schema:
    """References to the responses of the statuses that problems of an operation can have."""
    statuses = _statuses(each, takes_version)
    responses = {str(status): {"$ref": f"#/components/responses/{_response_name(status)}"} for status in statuses}
    return {**responses, "default": {"$ref": "#/components/responses/Problem"}}


def _statuses(each: Operation, takes_version: bool) -> list[int]:
    if each.path.startswith("/health/"):
        return list(_OF_HEALTH)
    changes = each.method != "GET"
    can_have = {
        **dict.fromkeys(_EVERY, True),
        **dict.fromkeys(_WITH_BODY, changes),
        406: bool(each.media),
        409: changes or bool(each.media),
        410: each.takes_key,
        412: takes_version,
    }
    return sorted(status for status, can in can_have.items() if can)
