"""Idempotency keys and expected versions on every unsafe route: a request takes effect once under its key, and only on
the version that it expects."""

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import pytest
from innkeeper.delivery.archive.segments import SegmentArchive
from innkeeper.http.api.routes import OPERATIONS
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import Effects
from innkeeper.protocol.reservations.events import BookingCancelled
from innkeeper.storage.stored_cursor import StoredCursor
from support.gateway import (
    SELLER,
    assert_problem,
    hotel_request,
    stay_request,
)
from support.gateway import gateway as running_gateway
from support.openapi_schemas import DOCUMENT
from support.partition_fixture import night
from support.payment_updates import wait_for_provider
from support.waiting import wait_until
from support.webhook_receiver import webhook_receiver
from support.world import MONEY, SECONDS_MAX, World

DISCOUNTS = [{"charge": "minibar", "amount": MONEY, "reason": reason} for reason in ("stale", "warm")]
BUYER = {"name": "Acme", "address": ["1 Road"]}
BILLING = {"seller": SELLER}
_keys = count(1)


class Request(NamedTuple):
    """A request that succeeds once, and another one (path and body) of the same kind."""

    path: str
    body: Any
    other_path: str
    other_body: Any = None


def same_path(path: str, body: Any, other: Any) -> Request:
    return Request(path, body, path, other)


def split(world: World) -> Request:
    folio, line = world.charge()
    path = f"{folio}/charges/{line}/actions/split"
    return same_path(path, {"amount": MONEY | {"amount": "1.00"}}, {"amount": MONEY | {"amount": "2.00"}})


def reverse(world: World) -> Request:
    folio, line = world.charge()
    return same_path(f"{folio}/charges/{line}/actions/reverse", {"reason": "typing error"}, {"reason": "other"})


def transfer(world: World) -> Request:
    folio, line = world.charge()
    world.gateway.post(f"{folio}s", {"buyer": BUYER})
    body = {"lines": [line], "to_folio": 2}
    return same_path(f"{folio}/actions/transfer", body, body | {"to_folio": 1})


def invoice(world: World) -> str:
    folio, _ = world.charge()
    world.gateway.send("PUT", f"{world.hotel}/billing", BILLING)
    return f"{folio.removesuffix('/folio')}/invoices"


def move_payment(world: World) -> Request:
    payment = world.payment(True)
    other = world.booking().rpartition("/")[2]
    return same_path(f"{payment}/actions/move", {"to_booking": other}, {"to_booking": other, "to_folio": 2})


def deposit_invoice(world: World) -> str:
    folio, _ = world.charge()
    world.gateway.send("PUT", f"{world.hotel}/billing", BILLING)
    world.gateway.post(f"{folio}/payments", {"method": "cash", "amount": {"amount": "40.00", "currency": "EUR"}})
    return f"{folio.removesuffix('/folio')}/deposit-invoices"


def reissue(world: World) -> Request:
    path = world.gateway.post(invoice(world), {}).headers["location"] + "/actions/reissue"
    body = {"reason": "wrong buyer", "buyer": BUYER}
    return same_path(path, body, body | {"reason": "other"})


def credit(world: World) -> Request:
    path = world.gateway.post(invoice(world), {}).headers["location"] + "/actions/credit"
    return same_path(path, {"reason": "wrong guest"}, {"reason": "other"})


def two(make: Callable[[], str], action: str = "") -> Request:
    return Request(make() + action, None, make() + action)


def audit(world: World) -> Request:
    hotel = world.gateway.open_hotel()
    return same_path(f"{hotel}/night-audit", {"to": str(night(1))}, {"to": str(night(2))})


def resend(world: World) -> Request:
    path = world.webhook() + "/actions/resend"
    return same_path(path, {"event": world.last_event()}, {"event": world.last_event(2)})


def waiting_path(world: World) -> str:
    return f"{world.hotel}/waitlist/{world.waiting()}"


def new_hotel(world: World) -> dict[str, Any]:
    """The body of a new hotel."""
    return hotel_request(id=f"new-{next(world.numbers)}")


def room_type(world: World) -> dict[str, Any]:
    """The body of a new room type."""
    return {"code": f"T{next(world.numbers)}", "name": "Suite", "max_guests": 2, "rate": MONEY}


def new_type(world: World) -> str:
    return world.gateway.post(f"{world.hotel}/room-types", room_type(world)).headers["location"]


def room(world: World) -> dict[str, Any]:
    """The body of a new room."""
    return {"number": f"R{next(world.numbers)}", "room_type": "DBL"}


def new_room(world: World) -> str:
    return world.gateway.post(f"{world.hotel}/rooms", room(world)).headers["location"]


def closure(nights: int) -> dict[str, Any]:
    """The body of a closure."""
    return {"kind": "out_of_service", "until": str(night(nights))}


def new_closure(world: World) -> str:
    return world.gateway.post(f"{new_room(world)}/closures", closure(3)).headers["location"]


HOTEL = "/v1/hotels/{hotel}"
CLOSURES = HOTEL + "/rooms/{room}/closures"
BOOKING = HOTEL + "/bookings/{booking}"
PAYMENT = HOTEL + "/payments/{payment}/actions/"
WEBHOOK = "/v1/webhooks/{webhook}"
REQUESTS: dict[str, Callable[[World], Request]] = {
    f"POST {HOTEL}/bookings": lambda w: same_path(f"{w.hotel}/bookings", stay_request(), stay_request(2)),
    "POST /v1/hotels": lambda w: same_path("/v1/hotels", new_hotel(w), new_hotel(w)),
    f"PATCH {HOTEL}": lambda w: same_path(
        w.hotel, {"cancellation": {"free_until_hours": 48}}, {"cancellation": {"free_until_hours": 24}}
    ),
    f"POST {HOTEL}/room-types": lambda w: same_path(f"{w.hotel}/room-types", room_type(w), room_type(w)),
    f"PATCH {HOTEL}/room-types/{{code}}": lambda w: same_path(new_type(w), {"name": "Suite 2"}, {"name": "Suite 3"}),
    f"DELETE {HOTEL}/room-types/{{code}}": lambda w: two(lambda: new_type(w)),
    f"POST {HOTEL}/rooms": lambda w: same_path(f"{w.hotel}/rooms", room(w), room(w)),
    f"DELETE {HOTEL}/rooms/{{room}}": lambda w: two(lambda: new_room(w)),
    f"PATCH {HOTEL}/rooms/{{room}}": lambda w: same_path(new_room(w), {"condition": "dirty"}, {"condition": "clean"}),
    f"POST {CLOSURES}": lambda w: same_path(f"{new_room(w)}/closures", closure(3), closure(4)),
    f"PATCH {CLOSURES}/{{closure}}": lambda w: same_path(new_closure(w), {"reason": "paint"}, {"reason": "shower"}),
    f"DELETE {CLOSURES}/{{closure}}": lambda w: two(lambda: new_closure(w)),
    f"PATCH {BOOKING}": lambda w: same_path(w.booking(), {"notes": "late"}, {"notes": "early"}),
    f"POST {BOOKING}/actions/{{action}}": lambda w: two(w.booking, "/actions/pin"),
    f"POST {HOTEL}/waitlist": lambda w: same_path(f"{w.hotel}/waitlist", w.sold_out(), w.sold_out()),
    f"PATCH {HOTEL}/waitlist/{{booking}}": lambda w: same_path(waiting_path(w), {"notes": "late"}, {"notes": "early"}),
    f"DELETE {HOTEL}/guests/{{guest}}": lambda w: two(w.guest),
    f"DELETE {HOTEL}/waitlist/{{booking}}": lambda w: two(lambda: waiting_path(w)),
    f"POST {HOTEL}/night-audit": audit,
    f"POST {BOOKING}/folios": lambda w: same_path(w.booking() + "/folios", {"buyer": BUYER}, {"buyer": {"name": "B"}}),
    f"POST {BOOKING}/folio/charges": lambda w: same_path(
        w.booking() + "/folio/charges",
        {"charge": "spa", "text": "Massage", "amount": MONEY},
        {"charge": "spa", "text": "Sauna", "amount": MONEY},
    ),
    f"POST {BOOKING}/folio/charges/{{line}}/actions/reverse": reverse,
    f"POST {BOOKING}/folio/charges/{{line}}/actions/split": split,
    f"POST {BOOKING}/folio/actions/transfer": transfer,
    f"POST {BOOKING}/folio/discounts": lambda w: same_path(w.charge()[0] + "/discounts", *DISCOUNTS),
    f"POST {BOOKING}/folio/payments": lambda w: same_path(
        w.booking() + "/folio/payments", {"method": "cash", "amount": MONEY}, {"method": "transfer", "amount": MONEY}
    ),
    f"POST {PAYMENT}capture": lambda w: same_path(w.payment(False) + "/actions/capture", {}, {"amount": MONEY}),
    f"POST {PAYMENT}void": lambda w: same_path(w.payment(False) + "/actions/void", {}, {"reason": "x"}),
    f"POST {PAYMENT}refund": lambda w: same_path(w.payment(True) + "/actions/refund", {}, {"reason": "x"}),
    f"POST {PAYMENT}return": lambda w: same_path(w.payment(True) + "/actions/return", {}, {"reason": "x"}),
    f"POST {PAYMENT}move": move_payment,
    f"POST {BOOKING}/invoices": lambda w: same_path(invoice(w), {}, {"buyer": BUYER}),
    f"POST {BOOKING}/deposit-invoices": lambda w: same_path(deposit_invoice(w), {}, {"buyer": BUYER}),
    f"POST {HOTEL}/invoices/{{number}}/actions/credit": credit,
    f"POST {HOTEL}/invoices/{{number}}/actions/reissue": reissue,
    f"PUT {HOTEL}/billing": lambda w: same_path(
        f"{w.hotel}/billing", BILLING, {"seller": {"name": "Other", "address": []}}
    ),
    f"PUT {HOTEL}/notifications": lambda w: same_path(
        f"{w.hotel}/notifications", {"language": "pt"}, {"language": "de"}
    ),
    **{
        f"POST /v1/subscribers/{{subscriber}}/actions/{action}": lambda w, action=action: Request(
            f"/v1/subscribers/payments/actions/{action}", None, f"/v1/subscribers/archive/actions/{action}"
        )
        for action in ("pause", "resume")
    },
    **{
        f"POST /v1/dead-letters/{{subscriber}}/{{event}}/actions/{action}": lambda w, action=action: two(
            w.dead_letter, f"/actions/{action}"
        )
        for action in ("redrive", "drop")
    },
    "POST /v1/webhooks": lambda w: same_path(
        "/v1/webhooks",
        {"url": w.receiver.url, "events": ["innkeeper.booking.*"]},
        {"url": w.receiver.url, "events": ["innkeeper.hotel.*"]},
    ),
    f"PATCH {WEBHOOK}": lambda w: same_path(
        w.webhook(), {"events": ["innkeeper.hotel.*"]}, {"events": ["innkeeper.booking.*"]}
    ),
    f"DELETE {WEBHOOK}": lambda w: two(w.webhook),
    f"POST {WEBHOOK}/actions/rotate-secret": lambda w: two(w.webhook, "/actions/rotate-secret"),
    f"POST {WEBHOOK}/actions/enable": lambda w: two(w.webhook, "/actions/enable"),
    f"POST {WEBHOOK}/actions/disable": lambda w: two(w.webhook, "/actions/disable"),
    f"POST {WEBHOOK}/actions/ping": lambda w: two(w.webhook, "/actions/ping"),
    f"POST {WEBHOOK}/actions/resend": resend,
    f"POST {WEBHOOK}/actions/replay": lambda w: same_path(
        w.webhook() + "/actions/replay", {"after": 1}, {"after": 2}
    ),
}  # fmt: skip
UNSAFE = {f"{each.method} {each.path}": each for each in OPERATIONS if each.method != "GET"}


@pytest.fixture(scope="module", params=[False, True], ids=["one process", "parts behind RPC"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A running gateway; its archive cannot handle cancellations, so that there are dead letters."""
    handle = SegmentArchive.handle

    async def choke(self: SegmentArchive, entries: Sequence[LogEntry]) -> Effects:
        if any(isinstance(record.event, BookingCancelled) for _, record in entries):
            raise ValueError("what is a cancellation?")
        return await handle(self, entries)

    with (
        pytest.MonkeyPatch.context() as patch,
        webhook_receiver() as receiver,
    ):
        patch.setattr(SegmentArchive, "handle", choke)
        with running_gateway(tmp_path_factory.mktemp("data"), split=request.param) as gateway:
            yield World(gateway, receiver)


def test_every_unsafe_route_takes_a_key_or_says_why_it_needs_none() -> None:
    assert {route for route, each in UNSAFE.items() if each.takes_key} == REQUESTS.keys()
    exempt = [route for route, each in UNSAFE.items() if each.repeatable]
    assert exempt == ["POST /v1/payment-providers/{provider}/notifications"]


@pytest.mark.parametrize("route", REQUESTS)
def test_a_request_takes_effect_once_under_its_key(world: World, route: str) -> None:
    method, gateway, receiver = route.partition(" ")[0], world.gateway, world.receiver
    wanted = REQUESTS[route](world)
    key = {"Idempotency-Key": f"once-{next(_keys)}"}
    first = gateway.send(method, wanted.path, wanted.body, key)
    assert first.status == UNSAFE[route].status, first
    assert "idempotent-replayed" not in first.headers
    wait_for_provider(gateway, wanted.path)
    events, received = gateway.all_events(), len(receiver.received)
    webhooks, subscribers = (gateway.get(f"/v1/{listed}").json for listed in ("webhooks", "subscribers"))
    again = gateway.send(method, wanted.path, wanted.body, key)
    assert (again.status, again.body, again.headers["idempotent-replayed"]) == (first.status, first.body, "true")
    assert_problem(gateway.send(method, wanted.other_path, wanted.other_body, key), 422, "idempotency_key_reused")
    assert gateway.all_events() == events
    assert gateway.get("/v1/webhooks").json == webhooks
    paused = [[each["name"], each["paused"]] for each in subscribers["data"]]
    assert [[each["name"], each["paused"]] for each in gateway.get("/v1/subscribers").json["data"]] == paused
    assert len(receiver.received) == received or not ("resend" in route or "ping" in route)


@pytest.mark.parametrize("route", REQUESTS)
def test_a_request_that_expects_another_version_is_refused_where_the_document_says_so(world: World, route: str) -> None:
    method, path = route.split()
    documented = DOCUMENT["paths"][path.replace("{action}", "pin")][method.lower()]
    takes_version = any(one["name"] == "If-Match" for one in documented["parameters"])
    assert takes_version is ("412" in documented["responses"])
    wanted = REQUESTS[route](world)
    reply = world.gateway.send(method, wanted.path, wanted.body, {"If-Match": '"999999999"'})
    assert reply.status == (412 if takes_version else UNSAFE[route].status), reply


def test_a_key_is_not_used_up_by_a_change_that_failed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply is kept in the transaction of the whole change, also of the part that a cursor stores."""
    webhook, key = world.webhook(), {"Idempotency-Key": "failed-once"}
    seek, failures = StoredCursor.seek, iter([OSError("disk full")])

    def fail_once(cursor: StoredCursor, position: int) -> None:
        for failure in failures:
            raise failure
        seek(cursor, position)

    monkeypatch.setattr(StoredCursor, "seek", fail_once)
    assert world.gateway.post(f"{webhook}/actions/replay", {"after": 0}, key).status >= 500
    again = world.gateway.post(f"{webhook}/actions/replay", {"after": 0}, key)
    assert (again.status, again.headers.get("idempotent-replayed")) == (200, None)


def test_a_refusal_of_a_service_is_replayed(world: World) -> None:
    key = {"Idempotency-Key": "refused"}
    first, again = (world.gateway.post("/v1/webhooks/none/actions/ping", None, key) for _ in range(2))
    assert_problem(first, 404, "not_found")
    assert_problem(again, 404, "not_found")
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")


def test_a_malformed_key_is_refused_by_services_too(world: World) -> None:
    reply = world.gateway.post("/v1/subscribers/archive/actions/resume", None, {"Idempotency-Key": "two words"})
    assert_problem(reply, 422, "invalid", "Idempotency-Key", "form")


def test_concurrent_requests_with_one_key_take_effect_once(world: World) -> None:
    body = {"url": world.receiver.url, "events": ["innkeeper.webhook.*"]}
    before = len(world.gateway.get("/v1/webhooks").json["data"])
    path, replies = f"{world.webhook()}/actions/ping", []
    received = len(world.receiver.received)
    world.receiver.answering.clear()  # the first request waits for the receiver when the others arrive

    def request(path: str, body: Any) -> None:
        replies.append(world.gateway.post(path, body, {"Idempotency-Key": f"race {path}".replace(" ", "-")}))

    threads = [threading.Thread(target=request, args=(path, None)) for _ in range(5)]
    threads += [threading.Thread(target=request, args=("/v1/webhooks", body)) for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(world.receiver.received) > received, SECONDS_MAX)
    world.receiver.answering.set()
    for thread in threads:
        thread.join()
    assert len(world.receiver.received) == received + 1
    assert len(world.gateway.get("/v1/webhooks").json["data"]) == before + 2
    assert sum("idempotent-replayed" not in reply.headers for reply in replies) == 2
    assert len({reply.body for reply in replies}) == 2
