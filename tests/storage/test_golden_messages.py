"""Bytes that a release has written decode for ever: messages, snapshots, and requests between processes.

Each line of a golden file is a name and bytes in hexadecimal. Lines are added, never changed. (Events have a file of
their own; see `test_wire_format.py`.)
"""

import msgpack
import pytest
from innkeeper.actors.billing.rules import snapshot as ledger_state
from innkeeper.actors.reservations.rules import state as hotel_state
from innkeeper.protocol.codec import frames, wire
from innkeeper.protocol.messages.event import Event
from support.paths import ROOT

GOLDEN = ROOT / "tests" / "golden"


def golden(name: str) -> list[tuple[str, bytes]]:
    """The lines of a golden file."""
    lines = (line.split() for line in (GOLDEN / f"{name}.txt").read_text(encoding="utf-8").splitlines())
    return [(message, bytes.fromhex(body)) for message, body in lines]


@pytest.mark.parametrize(("name", "body"), golden("messages"))
def test_a_golden_message_decodes_and_encodes_to_the_same_bytes(name: str, body: bytes) -> None:
    message = wire.decode(body)
    assert type(message) is wire.TABLE[name]
    assert msgpack.unpackb(body)[0] == name
    assert wire.encode(message) == body


def test_every_message_has_a_golden_line() -> None:
    names = {name for name, kind in wire.TABLE.items() if not issubclass(kind, Event)}
    assert {name for name, _ in golden("messages")} == names


@pytest.mark.parametrize(("name", "body"), golden("rpc"))
def test_a_golden_service_message_decodes_and_encodes_to_the_same_bytes(name: str, body: bytes) -> None:
    decoded = msgpack.unpackb(body)
    message = frames.message_of(decoded)
    assert type(message) is frames.MESSAGES[name]
    assert frames.pack(*frames.message_body(message)) == body


def test_every_service_message_has_a_golden_line() -> None:
    assert {name for name, _ in golden("rpc")} == frames.MESSAGES.keys()


@pytest.mark.parametrize(("name", "body"), golden("snapshots"))
def test_a_golden_snapshot_restores_and_is_described_by_the_same_bytes(name: str, body: bytes) -> None:
    module = {"hotel_state.reply": hotel_state, "ledger_state.reply": ledger_state}[name]
    state = module.restore(wire.decode(body))
    assert wire.encode(module.describe(state)) == body


def test_the_verbs_of_requests_between_processes_stay() -> None:
    verbs = (
        frames.ASK, frames.ASK_SERVICE, frames.ASK_SERVICE_ONCE, frames.POSITIONS, frames.READ, frames.HASH,
        frames.VIEW, frames.SUBSCRIBE,
    )  # fmt: skip
    assert verbs == ("ask", "ask_service", "ask_service_once", "positions", "read", "hash", "view", "subscribe")
    assert (frames.COMMITS, frames.DONE, frames.REFUSED, frames.BAD_CURSOR) == (0, 0, 1, 2)
