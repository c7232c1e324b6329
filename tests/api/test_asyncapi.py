"""The AsyncAPI document: valid, and true of every event that was ever written."""

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
from support.gateway import gateway
from support.paths import ROOT

DOCUMENT = json.loads(msgspec.json.encode(document()))
GOLDEN = (ROOT / "tests" / "golden" / "events.txt").read_text().splitlines()


def payload_of(type_name: str) -> Draft202012Validator:
    """What checks a message of this type."""
    (schema,) = [
        message["payload"] for message in DOCUMENT["components"]["messages"].values() if message["name"] == type_name
    ]
    return Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
    )  # fmt: skip


def test_the_document_is_valid_and_served(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # its own: a field named schema
        from asyncapi3.models import AsyncAPI3
    AsyncAPI3.model_validate(DOCUMENT)
    for broken in ({"info": {}}, {"asyncapi": "2.0.0"}, {"channels": {"kafka": {"address": 7}}}, {"color": "red"}):
        with pytest.raises(ValidationError):
            AsyncAPI3.model_validate(DOCUMENT | broken)
    with gateway(tmp_path) as front:
        assert front.get("/asyncapi.json").json == DOCUMENT


def test_every_reference_leads_somewhere() -> None:
    def check(part: Any) -> None:
        if isinstance(part, dict):
            if "$ref" in part:
                found: Any = DOCUMENT
                for step in part["$ref"].removeprefix("#/").split("/"):
                    found = found[step]
            for within in part.values():
                check(within)
        elif isinstance(part, list):
            for within in part:
                check(within)

    check(DOCUMENT)


def test_every_event_has_a_message_and_a_schema_of_its_own() -> None:
    types = {wire.type_name(kind) for kind in wire.ALL_EVENTS}
    assert {message["name"] for message in DOCUMENT["components"]["messages"].values()} == types
    assert DOCUMENT["components"]["messages"].keys() < DOCUMENT["components"]["schemas"].keys()


@pytest.mark.parametrize("line", GOLDEN, ids=[line.split()[0] for line in GOLDEN])
def test_an_event_written_long_ago_is_what_the_document_says_today(line: str) -> None:
    old, body = line.split()
    record = RecordedEvent("seaside", 7, 1, "ann", "request", "command", wire.decode_event(old, bytes.fromhex(body)))
    told = json.loads(cloud_event_json((7, record)))
    check = payload_of(told["type"])
    check.validate(told)
    wrong = [{**told, "type": "innkeeper.nothing.v1"}, {**told, "data": "nothing"}, {**told, "id": 7}]
    fields = [{name: value for name, value in told.items() if name != left_out} for left_out in ("id", "data", "time")]
    for message in wrong + fields:
        assert not check.is_valid(message)
