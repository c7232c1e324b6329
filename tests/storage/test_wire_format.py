"""Every message is decoded as it was encoded, and old bytes stay readable."""

import msgpack
import msgspec
import pytest
from hypothesis import given, settings
from innkeeper.protocol.billing.events import BILLING_EVENTS
from innkeeper.protocol.codec import wire
from innkeeper.protocol.delivery.events import DELIVERY_EVENTS
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.reservations.events import EVENTS
from support.messages import messages
from support.paths import ROOT

GOLDEN = ROOT / "tests" / "golden" / "events.txt"


@pytest.mark.parametrize("name", wire.TABLE)
def test_every_message_is_decoded_as_it_was_encoded(name: str) -> None:
    @settings(max_examples=25)
    @given(messages(wire.TABLE[name]))
    def is_decoded_unchanged(message: msgspec.Struct) -> None:
        assert wire.decode(wire.encode(message)) == message
        assert msgpack.unpackb(wire.encode_fields(message)) == msgpack.unpackb(
            msgpack.packb(msgspec.to_builtins(message, builtin_types=(bytes,)))
        )
        if isinstance(message, Event):
            assert wire.decode_event(wire.event_type(message), wire.encode_fields(message)) == message

    is_decoded_unchanged()


def test_a_message_of_a_newer_version_is_refused() -> None:
    with pytest.raises(wire.UnknownMessageType, match="newer Innkeeper"):
        wire.decode(msgpack.packb(["hotel.describe", 2, msgpack.packb({"hotel": "inn"})]))
    with pytest.raises(wire.UnknownMessageType, match="newer Innkeeper"):
        wire.decode_event("innkeeper.booking.confirmed.v99", b"\x80")


def test_unknown_fields_of_a_newer_version_are_ignored() -> None:
    fields = msgpack.packb({"booking": "b", "invented": 1})
    assert wire.decode_event("innkeeper.booking.hold_expired.v1", fields).booking == "b"  # type: ignore[attr-defined]


def test_an_older_version_is_upcast_to_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = wire.TABLE["booking.hold_expired"]
    monkeypatch.setitem(wire._VERSIONS, kind, 3)
    monkeypatch.setitem(wire.UPCASTS, ("booking.hold_expired", 1), lambda fields: {"reservation": fields["id"]})
    monkeypatch.setitem(wire.UPCASTS, ("booking.hold_expired", 2), lambda fields: {"booking": fields["reservation"]})
    old = msgpack.packb(["booking.hold_expired", 1, msgpack.packb({"id": "b-1"})])
    assert wire.decode(old) == kind("b-1")


def test_events_of_the_first_release_are_decoded() -> None:
    """A line per event type, as the first release wrote it; lines are added, never changed."""
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    seen = set()
    for line in lines:
        type_name, body = line.split()
        event = wire.decode_event(type_name, bytes.fromhex(body))
        assert isinstance(event, Event)
        seen.add(type(event))
    assert seen == {*EVENTS, *BILLING_EVENTS, *DELIVERY_EVENTS}
