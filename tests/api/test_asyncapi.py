"""The AsyncAPI document: it is valid, and every event ever recorded conforms to it."""

import json
import warnings
from pathlib import Path
from typing import Any

import msgspec
import pytest
from innkeeper.http.api.asyncapi import document
from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from support.gateway import gateway as running_gateway
from support.installations import INSTALLATION
from support.paths import ROOT

DOCUMENT = json.loads(msgspec.json.encode(document(INSTALLATION)))
GOLDEN = (ROOT / "tests" / "golden" / "events.txt").read_text().splitlines()


def validator_for(type_name: str) -> Draft202012Validator:
    """The validator for messages of this type."""
    (schema,) = [
        message["payload"] for message in DOCUMENT["components"]["messages"].values() if message["name"] == type_name
    ]
    return Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )  # fmt: skip


def test_the_asyncapi_document_is_valid_and_served(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # the library has a field named schema
        from asyncapi3.models import AsyncAPI3
    AsyncAPI3.model_validate(DOCUMENT)
    for broken in ({"info": {}}, {"asyncapi": "2.0.0"}, {"channels": {"kafka": {"address": 7}}}, {"color": "red"}):
        with pytest.raises(ValidationError):
            AsyncAPI3.model_validate(DOCUMENT | broken)
    with running_gateway(tmp_path) as gateway:
        assert gateway.get("/asyncapi.json").json == DOCUMENT


def test_every_reference_resolves() -> None:
    def check(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                target: Any = DOCUMENT
                for step in node["$ref"].removeprefix("#/").split("/"):
                    target = target[step]
            for child in node.values():
                check(child)
        elif isinstance(node, list):
            for child in node:
                check(child)

    check(DOCUMENT)


def test_every_event_type_has_its_own_message_and_schema() -> None:
    types = {wire.type_name(kind) for kind in wire.ALL_EVENTS}
    assert {message["name"] for message in DOCUMENT["components"]["messages"].values()} == types
    assert DOCUMENT["components"]["messages"].keys() < DOCUMENT["components"]["schemas"].keys()


@pytest.mark.parametrize("line", GOLDEN, ids=[line.split()[0] for line in GOLDEN])
def test_every_event_in_the_golden_file_conforms_to_its_schema(line: str) -> None:
    type_name, body = line.split()
    record = RecordedEvent(
        "seaside", 7, 1, "ann", "request", "command", wire.decode_event(type_name, bytes.fromhex(body))
    )
    cloud_event = json.loads(cloud_event_json((7, record)))
    validator = validator_for(cloud_event["type"])
    validator.validate(cloud_event)
    wrong = [
        {**cloud_event, "type": "innkeeper.nothing.v1"},
        {**cloud_event, "data": "nothing"},
        {**cloud_event, "id": 7},
    ]
    incomplete = [
        {name: value for name, value in cloud_event.items() if name != left_out} for left_out in ("id", "data", "time")
    ]
    for message in wrong + incomplete:
        assert not validator.is_valid(message)
