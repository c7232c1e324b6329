"""What people type: blanks around it are removed, and characters that nobody sees are refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path, hotel_request, stay_request
from support.gateway import gateway as running_gateway
from support.partition_fixture import night


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for all tests of this file."""
    with running_gateway(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.fixture(scope="module")
def hotel(gateway: Gateway) -> str:
    """The path of a hotel."""
    return gateway.open_hotel({"DBL": 60})


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\u00a0", "\u3000", " \r\n"])
@pytest.mark.parametrize("escaped", [True, False])
def test_blanks_around_a_text_are_removed(gateway: Gateway, hotel: str, blank: str, escaped: bool) -> None:
    guest = {"name": f"{blank}Ann Reid{blank}", "email": f"ann@x.pt{blank}", "phone": f"{blank}+351 1"}
    body = stay_request(1, guest=guest, notes=f"late  arrival{blank}", room_type=f"DBL{blank}")
    reply = gateway.post(f"{hotel}/bookings", _json(body, escaped))
    assert reply.status == 201, reply
    shown = reply.json["guest"]
    assert (shown["name"], shown["email"], shown["phone"]) == ("Ann Reid", "ann@x.pt", "+351 1")
    assert (reply.json["notes"], reply.json["room_type"]) == ("late  arrival", "DBL")
    found = gateway.get(f"{hotel}/bookings", q=f"ann@x.pt{blank}", room_type=f" DBL{blank}").json["data"]
    assert reply.json["id"] in {each["id"] for each in found}
    gateway.act(hotel, reply.json, "cancel")


def _json(body: Any, escaped: bool) -> bytes:
    return json.dumps(body, ensure_ascii=escaped).encode()


HIDDEN = {
    "override": "\u202e", "isolate": "\u2066", "mark": "\u200f", "zero width": "\u200b", "joiner": "\u200d",
    "non-joiner": "\u200c", "byte order": "\ufeff", "soft hyphen": "\u00ad", "filler": "\u3164", "tag": "\U000e0041",
    "control": "\u0085", "escape": "\u001b", "line": "\u2028", "private": "\ue000", "no character": "\uffff",
    "annotation": "\ufff9",
}  # fmt: skip


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_invisible_and_misleading_characters_are_refused(gateway: Gateway, hotel: str, hidden: str) -> None:
    text = f"Ann{hidden}Reid"
    for body, field in (
        ({"guest": {"name": text}}, "guest.name"),
        ({"notes": text}, "notes"),
        ({"source": text}, "source"),
        ({"guest": {"name": "Ann", "phone": text}}, "guest.phone"),
        ({"guest": {"name": "Ann", "email": f"{text}@x.pt"}}, "guest.email"),
    ):
        problem = assert_problem(gateway.post(f"{hotel}/bookings", stay_request(2) | body), 422, "invalid")
        assert [error["field"] for error in problem["errors"]] == [field]
    refused = gateway.post("/v1/hotels", hotel_request(id="hidden", name=text))
    assert_problem(refused, 422, "invalid", "name", "form")
    assert "invisible" in refused.json["detail"]
    booking = gateway.book(hotel, 2)
    assert_problem(gateway.act(hotel, booking, "cancel", reason=text), 422, "invalid", "reason", "form")
    gateway.act(hotel, booking, "cancel")


@pytest.mark.parametrize(
    "name",
    ["Zoë Müller-Lüdenscheidt", "山田太郎", "علی‌رضا", "क्‍ष", "නිශ්‍ශංක", "Siobhán O'Neil", "Ḥalīm", "👩‍👧", "ﷺ", "Þór ½"],
)
def test_real_names_are_accepted(gateway: Gateway, hotel: str, name: str) -> None:
    booking = gateway.book(hotel, 3, guest={"name": name})
    assert booking["guest"]["name"] == name
    gateway.act(hotel, booking, "cancel")


@pytest.mark.parametrize(
    ("query", "field"),
    [({"q": ""}, "q"), ({"q": "  "}, "q"), ({"q": "a\u202eb"}, "q")],
    ids=["none", "blank", "hidden"],
)
def test_a_search_for_nothing_is_refused(gateway: Gateway, hotel: str, query: dict[str, str], field: str) -> None:
    problem = assert_problem(gateway.get(f"{hotel}/bookings", **query), 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("query", "kind"), [({"room_type": "SUITE"}, "room type"), ({"room": "999"}, "room"), ({"room": ""}, "room")]
)
def test_what_the_hotel_does_not_have_is_not_found(
    gateway: Gateway, hotel: str, query: dict[str, str], kind: str
) -> None:
    problem = assert_problem(gateway.get(f"{hotel}/bookings", **query), 404, "not_found")
    assert (problem["kind"], problem["name"]) == (kind, next(iter(query.values())))


def test_a_range_that_ends_before_it_starts_is_refused(gateway: Gateway, hotel: str) -> None:
    for path, start, end in (
        ("bookings", "arrival_from", "arrival_to"), ("tape-chart", "from", "to"),
        ("availability", "arrival", "departure"),
    ):  # fmt: skip
        reply = gateway.get(f"{hotel}/{path}", **{start: str(night(3)), end: str(night(2))})
        problem = assert_problem(reply, 422, "invalid")
        assert [error["field"] for error in problem["errors"]] == [end]
    one_day = gateway.get(f"{hotel}/bookings", arrival_from=str(night(3)), arrival_to=str(night(3)))
    assert one_day.status == 200


def test_hotels_of_other_filters_must_exist(gateway: Gateway) -> None:
    for path in ("/v1/events", "/v1/events/stream", "/v1/hotels/none/bookings"):
        assert_problem(gateway.get(path, **({} if "none" in path else {"hotel": "none"})), 404, "not_found")


def test_a_trimmed_request_is_the_same_request(gateway: Gateway, hotel: str) -> None:
    booking = gateway.book(hotel, 4)
    path, key = f"{booking_path(hotel, booking)}/actions/cancel", {"Idempotency-Key": "trimmed"}
    first, again = (gateway.post(path, {"reason": reason}, key) for reason in ("ill", "ill "))
    assert (again.body, again.headers["idempotent-replayed"]) == (first.body, "true")
