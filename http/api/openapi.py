"""The OpenAPI 3.1 document, generated from the table of routes and the types of requests and responses, so that it
always agrees with the code."""

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

import msgspec
from innkeeper.http.api.actions import act_on_booking
from innkeeper.http.api.billing_resources import BillingTermsResource, BillResource, PaymentResource
from innkeeper.http.api.invoice_resources import InvoiceResource
from innkeeper.http.api.openapi_problems import PROBLEM_FORMS, problem_responses, replace_refusals, responses_of
from innkeeper.http.api.operation import Operation
from innkeeper.http.api.parsing import ACTION_FIELDS, DryRunQuery
from innkeeper.http.api.resources import (
    BookingResource,
    ClosureResource,
    HotelResource,
    KnownRoomTypeResource,
    ListPage,
)
from innkeeper.http.api.rooms import RoomResource
from innkeeper.http.api.routes import OPERATIONS
from innkeeper.http.api.waitlist import WaitlistResource
from innkeeper.protocol.values import limits

Schema = dict[str, Any]

_SCHEMAS = "#/components/schemas/{name}"
_TEXT = {"type": "string"}
_HEADERS = {
    "Idempotency-Key": (
        "A request takes effect once under its key; the same request again gets the same response.",
        {"type": "string", "minLength": 1, "maxLength": limits.idempotency_key_characters_max},
    ),
    "If-Match": (
        "The ETag of the expected version; another version is refused with 412.",
        _TEXT,
    ),
    "Last-Event-ID": ("The id of the last event that was received; the stream resumes after it.", _TEXT),
}


_OF_WHAT_IS_NAMED = (
    KnownRoomTypeResource, RoomResource, ClosureResource, BillResource, PaymentResource, InvoiceResource,
)  # fmt: skip
"""The resources whose version is that of the hotel or booking that the path names, also where they are made."""

_VERSIONED = (BookingResource, HotelResource, WaitlistResource, BillingTermsResource, *_OF_WHAT_IS_NAMED)
_VERSIONED_LISTS = (ListPage[KnownRoomTypeResource], ListPage[RoomResource])


def document() -> Schema:
    """The whole document."""
    operations = list(_with_actions(OPERATIONS))
    forms = {form for each in operations for form in (each.answer, each.body) if _is_type(form)}
    described = (*sorted(forms, key=str), *PROBLEM_FORMS)
    found, components = msgspec.json.schema_components(described, ref_template=_SCHEMAS)
    schemas = dict(zip(described, found, strict=True))
    replace_refusals(components, schemas)
    paths: dict[str, Schema] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Innkeeper", "version": version("innkeeper")},
        "paths": paths,
        "security": [{}, {"bearer": []}, {"basic": []}],
        "components": {
            "schemas": components,
            "responses": problem_responses(),
            "securitySchemes": {name: {"type": "http", "scheme": name} for name in ("bearer", "basic")},
        },
    }


def _with_actions(operations: Iterable[Operation]) -> Iterator[Operation]:
    """The operations, with one for each action on a booking instead of the generic one."""
    for each in operations:
        if "{action}" not in each.path:
            yield each
            continue
        for action, (kind, fields) in ACTION_FIELDS.items():
            meaning = (kind.__doc__ or "").strip()
            yield each._replace(path=each.path.replace("{action}", action), summary=meaning, body=fields)


def _operation(each: Operation, schemas: dict[Any, Schema]) -> Schema:
    media, schema = ("application/json", schemas[each.answer]) if _is_type(each.answer) else (each.answer, {})
    formats = {media: {"schema": schema}, **{other: {"schema": {}} for other in each.media}}
    answer: Schema = {"description": each.summary, "content": formats}
    if each.answer in (*_VERSIONED, *_VERSIONED_LISTS):
        answer["headers"] = {"ETag": {"schema": _TEXT, "description": "The version."}}
    headers = list(_header_parameters(each))
    described: Schema = {
        "operationId": _operation_id(each),
        "summary": each.summary,
        "parameters": [*_path_parameters(each), *_query_parameters(each), *headers],
        "responses": {
            str(each.status): answer,
            **({"200": {**answer, "description": "What the request would do (`dry_run`)"}} if _is_made(each) else {}),
            **responses_of(each, takes_version=any(one["name"] == "If-Match" for one in headers)),
        },
    }
    if each.body is not None:
        required = any(field.required for field in msgspec.structs.fields(each.body))
        content = {"application/json": {"schema": schemas[each.body]}}
        described["requestBody"] = {"required": required, "content": content}
    return described


def _is_made(each: Operation) -> bool:
    """Whether a preview has another status than the response, which says that something was made."""
    return each.query is DryRunQuery and each.status != 200


def _operation_id(each: Operation) -> str:
    name = each.handler.__name__
    return name if each.handler is not act_on_booking else each.path.rpartition("/")[2].replace("-", "_")


def _path_parameters(each: Operation) -> Iterator[Schema]:
    for name in re.findall(r"{(\w+)}", each.path):
        yield {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _query_parameters(each: Operation) -> Iterator[Schema]:
    if each.query is None:
        return
    (_,), components = msgspec.json.schema_components([each.query], ref_template=_SCHEMAS)
    form = components[each.query.__name__]
    for name, schema in form["properties"].items():
        shown = next((one for one in schema.get("anyOf", ()) if one != {"type": "null"}), schema)
        if "$ref" in shown:
            shown = components[shown["$ref"].rpartition("/")[2]]
        yield {"name": name, "in": "query", "required": name in form.get("required", ()), "schema": shown}


def _header_parameters(each: Operation) -> Iterator[Schema]:
    names = []
    if each.takes_key:
        names.append("Idempotency-Key")
    if each.answer in _VERSIONED and "{" in each.path and each.method != "GET" and _changes_what_is_named(each):
        names.append("If-Match")
    if each.answer == "text/event-stream":
        names.append("Last-Event-ID")
    for name in names:
        description, schema = _HEADERS[name]
        yield {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


def _changes_what_is_named(each: Operation) -> bool:
    """Whether the path names the resource whose version is expected; a new booking or hotel has none yet."""
    return each.status == 200 or each.answer in _OF_WHAT_IS_NAMED


def _is_type(answer: Any) -> bool:
    return answer is not None and not isinstance(answer, str)
