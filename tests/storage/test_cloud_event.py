"""The public form of an event follows CloudEvents 1.0 and its extension `sequence`."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.cloud_event import cloud_event_json, entry_of
from innkeeper.protocol.messages.recorded_event import RecordedEvent, number_of
from innkeeper.protocol.reservations.events import BookingPinned
from msgspec import structs

_word = st.sampled_from(["", "a word"])


def record(hotel_seq: int = 7, by: str = "ann", correlation: str = "request", cause: str = "command") -> RecordedEvent:
    """An event of a hotel."""
    return RecordedEvent("seaside", hotel_seq, 1_000_000, by, correlation, cause, BookingPinned("b", "101"))


def shown(recorded: RecordedEvent) -> dict[str, Any]:
    """The event as others get it."""
    document: dict[str, Any] = json.loads(cloud_event_json((9, recorded)))
    return document


def test_sequences_sort_as_texts_as_the_events_happened() -> None:
    sequences = [shown(record(number))["sequence"] for number in (1, 2, 9, 10, 99, 100, 12_345, 10**11)]
    assert sequences == sorted(sequences)
    assert {len(sequence) for sequence in sequences} == {12}
    assert sequences[3] == "000000000010"


@pytest.mark.parametrize("attribute", ["correlationid", "causationid", "by"])
def test_an_attribute_that_is_not_known_is_left_out(attribute: str) -> None:
    field = {"correlationid": "correlation", "causationid": "cause"}.get(attribute, attribute)
    assert shown(record()).keys() - shown(record(**{field: ""})).keys() == {attribute}  # type: ignore[arg-type]


@pytest.mark.parametrize(("timeline", "id_"), [("", "seaside:7"), ("1f3a9c20", "seaside:7-1f3a9c20")])
def test_the_id_says_on_which_timeline_it_happened(timeline: str, id_: str) -> None:
    happened = structs.replace(record(), timeline=timeline)
    assert (happened.id, shown(happened)["id"]) == (id_, id_)
    assert entry_of(cloud_event_json((9, happened))) == (9, happened)
    assert wire.decode_record(wire.encode_record(happened)) == happened
    assert number_of(id_, "seaside") == 7
    assert number_of(f"billing:{id_}", "seaside") is None


@given(_word, _word, _word)
def test_no_attribute_is_empty_and_the_event_is_read_again(by: str, correlation: str, cause: str) -> None:
    entry = 9, record(by=by, correlation=correlation, cause=cause)
    assert "" not in shown(entry[1]).values()
    assert entry_of(cloud_event_json(entry)) == entry
