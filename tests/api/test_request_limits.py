"""Every number, text and list that a request may contain has limits."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from innkeeper.http.api.parsing import ACTION_FIELDS
from innkeeper.http.api.routes import OPERATIONS
from msgspec import inspect
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway

LISTS = (
    inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType, inspect.DictType, inspect.BytesType,
)  # fmt: skip
REQUESTS = {kind for each in OPERATIONS for kind in (each.body, each.query) if kind is not None}
REQUESTS |= {fields for _, fields in ACTION_FIELDS.values()}


def unlimited(kind: inspect.Type, path: str) -> Iterator[str]:
    """The fields of a type that have no limits."""
    match kind:
        case inspect.IntType() | inspect.FloatType():
            if {kind.ge, kind.gt} == {None} or {kind.le, kind.lt} == {None}:
                yield f"{path}: a number without bounds"
        case inspect.StrType() if kind.max_length is None:
            yield f"{path}: text of any length"
        case inspect.StrType() if kind.pattern is None or re.search(kind.pattern, " x"):
            yield f"{path}: text with blanks around it"  # is decoded as it is, see `body_of`
        case inspect.AnyType() | inspect.RawType():
            yield f"{path}: anything"
        case inspect.StructType():
            for field in kind.fields:
                yield from unlimited(field.type, f"{path}.{field.encode_name}")
        case inspect.UnionType():
            for one in kind.types:
                yield from unlimited(one, path)
        case inspect.Metadata():
            yield from unlimited(kind.type, path)
    if isinstance(kind, LISTS) and kind.max_length is None:
        yield f"{path}: a list of any length"
    if isinstance(kind, inspect.DictType):
        yield from unlimited(kind.key_type, f"{path}{{}}")
        yield from unlimited(kind.value_type, f"{path}{{}}")
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType):
        yield from unlimited(kind.item_type, f"{path}[]")


@pytest.mark.parametrize("kind", sorted(REQUESTS, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_field_of_a_request_has_limits(kind: type) -> None:
    assert [*unlimited(inspect.type_info(kind), kind.__name__)] == []


def test_a_field_without_limits_is_found() -> None:
    assert [*unlimited(inspect.type_info(dict[str, tuple[int, ...]]), "x")] == [
        "x: a list of any length", "x{}: text of any length", "x{}: a list of any length",
        "x{}[]: a number without bounds",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for all tests of this file."""
    with running_gateway(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.mark.parametrize("line", [2**70, -(2**70), 2**63, 10**400], ids=["2**70", "-2**70", "2**63", "10**400"])
def test_a_number_that_cannot_be_stored_is_refused(gateway: Gateway, line: int) -> None:
    hotel = gateway.open_hotel()
    path = f"{booking_path(hotel, gateway.book(hotel))}/folio/actions/transfer"
    body: dict[str, Any] = {"lines": [line]}
    reply = gateway.post(path, body, {"Idempotency-Key": "too-large"})
    assert_problem(reply, 422, "invalid", "lines[0]", "range")
