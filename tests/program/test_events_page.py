"""docs/events.md is what the classes of the events say."""

import json
import re

import msgspec
import pytest
from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.cloud_event import entry_of
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.values.guests import Guest
from support import events_page

ROWS = dict(re.findall(r"^\| `(innkeeper\.[\w.]+)` (.*)$", events_page.PAGE.read_text(), re.MULTILINE))


def test_the_page_of_events_says_what_the_events_are() -> None:
    assert events_page.PAGE.read_text() == events_page.page(), "docs/events.md is not up to date; write it: make events"


@pytest.mark.parametrize("kind", wire.ALL_EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_has_a_row_with_its_fields(kind: type[Event]) -> None:
    row = ROWS[wire.type_name(kind)]
    assert all(f"`{field}`" in row for field in kind.__struct_fields__)


@pytest.mark.parametrize("kind", wire.ALL_EVENTS, ids=lambda kind: kind.__name__)
def test_a_guest_s_details_are_only_in_the_parts_that_the_page_names(kind: type[Event]) -> None:
    named = set(re.findall(r"`(\w+)`", ROWS[wire.type_name(kind)].split(" | ")[-1]))
    details = {field.name for field in msgspec.structs.fields(kind) if field.type is Guest}
    assert details <= named <= set(events_page.GUEST_PARTS) & set(kind.__struct_fields__)


def test_the_examples_are_events_and_the_links_have_targets() -> None:
    page = events_page.PAGE.read_text()
    examples = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        assert json.loads(example)["id"] == entry_of(example.encode())[1].id
    assert set(re.findall(r"\]\(#(\w+)\)", page)) <= set(re.findall(r'<a name="(\w+)">', page))
