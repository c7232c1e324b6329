"""Requests that are wrong as HTTP or as JSON, and clients who misbehave: each gets its answer, and harms nobody."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import pytest
from innkeeper.protocol.values import limits
from support.gateway import Gateway, assert_problem, booking_path, gateway, hotel_plan, read_response, stay_request

ACTIONS = (
    "confirm", "release", "extend", "cancel", "reinstate", "check-in", "check-out", "no-show", "move", "pin", "unpin",
)  # fmt: skip
JSON = b"Content-Type: application/json\r\n"
HASTE_SECONDS = 1


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One front desk for this file, with little patience for slow clients."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "header_seconds_max", HASTE_SECONDS)
        patch.setattr(limits, "body_seconds_max", HASTE_SECONDS)
        with gateway(tmp_path_factory.mktemp("front")) as opened:
            yield opened


@pytest.fixture(scope="module")
def hotel(front: Gateway) -> str:
    """A hotel with many doubles; its path."""
    return front.open_hotel({"DBL": 20})


@pytest.fixture(scope="module")
def booking(front: Gateway, hotel: str) -> str:
    """The path of a confirmed booking in that hotel."""
    return booking_path(hotel, front.book(hotel))


@contextmanager
def unharmed(front: Gateway) -> Iterator[None]:
    """Whatever is asked in here changes nothing, and the desk serves on."""
    before = front.last_position()
    yield
    assert front.last_position() == before
    assert front.get("/health/ready").status == 200


ROUTES = (
    ("POST", "/v1/hotels"),
    ("POST", "{hotel}/bookings"),
    ("PATCH", "{booking}"),
    ("POST", "{booking}/actions/cancel"),
    ("POST", "{hotel}/night-audit"),
)


@pytest.fixture(scope="module", params=ROUTES, ids=lambda route: route[1])
def route(request: pytest.FixtureRequest, hotel: str, booking: str) -> tuple[str, str]:
    """Each route that takes a body: its method and path."""
    method, path = request.param
    return method, path.format(hotel=hotel, booking=booking)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nope",
        b" ",
        b"{'name': 1}",
        b'{"notes": NaN}',
        b'{"notes": Infinity}',
        b'{"notes": "x"}}',
        b'{"notes": "x"} {}',
        b'{"\xff": 1}',
        b'{"notes": "\xff"}',
        b'{"notes": "\xed\xa0\x80"}',
        rb'{"notes": "\ud800"}',
        rb'{"notes": "\udc00 \ud800"}',
        b'{"notes": "\0"}',
        '{"notes": "x"}'.encode("utf-16"),
    ],
)
def test_what_is_not_json_in_utf_8_is_not_read(front: Gateway, route: tuple[str, str], body: bytes) -> None:
    with unharmed(front):
        reply = front.send(*route, body)
        assert reply.status in (400, 422), reply  # 422 where a field before the fault is wrong already
        assert_problem(reply, reply.status, "not_json" if reply.status == 400 else "invalid")


@pytest.mark.parametrize("body", [b"{", b"nope", b"\xff", b""])
def test_what_is_no_json_at_all_is_answered_400_wherever_it_is_sent(front: Gateway, hotel: str, body: bytes) -> None:
    status, code = (400, "not_json") if body else (422, "invalid")  # nothing at all is an empty object
    for path in ("/v1/hotels", f"{hotel}/bookings"):
        assert_problem(front.post(path, body), status, code)


@pytest.mark.parametrize("start", [b"", b'{"notes":', b'{"guest":{"name":', b'{"x":', b'{"room_types":[{"rooms":['])
@pytest.mark.parametrize("nest", [b"[", b'{"a":'])
def test_what_is_nested_too_deep_is_refused(front: Gateway, route: tuple[str, str], start: bytes, nest: bytes) -> None:
    body = start + nest * (60_000 // len(nest))
    with unharmed(front):
        reply = front.send(*route, body)
        assert reply.status in (400, 422), reply
        assert_problem(reply, reply.status)


def test_a_body_too_large_is_refused_whether_its_length_is_told_or_not(front: Gateway, route: tuple[str, str]) -> None:
    method, path = route
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + JSON
    large = b'{"notes": "' + b"x" * 70_000 + b'"}'
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (large[:30_000], large[30_000:])) + b"0\r\n\r\n"
    with unharmed(front):
        assert_problem(front.send_bytes(head + b"Content-Length: %d\r\n\r\n" % len(large) + large), 413, "too_large")
        assert_problem(front.send_bytes(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks), 413, "too_large")


def test_a_body_of_just_the_limit_is_read(front: Gateway, hotel: str) -> None:
    body = b'{"to": "x"}'
    reply = front.post(f"{hotel}/night-audit", body.ljust(limits.body_bytes_max))
    assert_problem(reply, 422, "invalid", "to", "date")
    assert_problem(front.post(f"{hotel}/night-audit", body.ljust(limits.body_bytes_max + 1)), 413, "too_large")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "nonsense"},
        {"Content-Type": ""},
        {"Content-Encoding": "gzip"},
    ],
    ids=str,
)
def test_another_kind_of_content_is_not_taken(front: Gateway, route: tuple[str, str], headers: dict[str, str]) -> None:
    with unharmed(front):
        assert_problem(front.send(*route, {"to": "2026-06-02"}, headers), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "part", ["none", "%00", "%ED%A0%80", "%FF", "%F0%9F%9B%8F", "..%2f..", "%2e%2e%2fx", "x" * 4_000]
)
def test_an_unknown_hotel_or_booking_is_not_found(front: Gateway, hotel: str, part: str) -> None:
    with unharmed(front):
        for base in (f"/v1/hotels/{part}", f"{hotel}/bookings/{part}"):
            for reply in (front.get(base), front.post(f"{base}/actions/cancel"), front.get(f"{base}/history")):
                assert_problem(reply, 404, "not_found")
        for reply in (
            front.post(f"/v1/hotels/{part}/bookings", stay_request()),
            front.get(f"/v1/hotels/{part}/bookings"),
            front.get(f"/v1/hotels/{part}/availability?arrival=2026-06-02&departure=2026-06-03"),
            front.get(f"/v1/hotels/{part}/tape-chart?from=2026-06-02&to=2026-06-03"),
            front.post(f"/v1/hotels/{part}/night-audit"),
            front.send("PATCH", f"{hotel}/bookings/{part}", {"notes": "x"}),
        ):
            assert_problem(reply, 404, "not_found")


def test_a_booking_is_not_found_in_another_hotel(front: Gateway, hotel: str) -> None:
    booking = front.book(hotel)
    other = booking_path(front.open_hotel(), booking)
    for reply in (front.get(other), front.get(f"{other}/history"), front.post(f"{other}/actions/cancel")):
        assert_problem(reply, 404, "not_found")
    assert_problem(front.send("PATCH", other, {"notes": "x"}), 404, "not_found")


def test_an_unknown_action_is_not_found(front: Gateway, booking: str) -> None:
    for action in ("explode", "change", "CANCEL", "%00"):
        assert_problem(front.post(f"{booking}/actions/{action}"), 404, "not_found")


def test_a_path_is_decoded_once(front: Gateway, hotel: str) -> None:
    assert front.get(hotel.replace("hotel-", "%68otel-")).status == 200
    assert_problem(front.get(hotel.replace("hotel-", "%2568otel-")), 404, "not_found")


@pytest.mark.parametrize("query", ["cursor=%ED%A0%80", "cursor=%00", "cursor=%FF", "room=%00"])
def test_odd_bytes_in_a_query_are_refused(front: Gateway, hotel: str, query: str) -> None:
    assert_problem(front.get(f"{hotel}/bookings?{query}"), 422, "invalid")


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/hotels/", "/v2/hotels", "//", "/health", "/v1/hotels/x/y"])
def test_an_unknown_url_is_not_found(front: Gateway, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert_problem(front.send(method, path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/hotels", "GET, POST"),
        ("PUT", "/v1/hotels", "GET, POST"),
        ("OPTIONS", "/v1/hotels", "GET, POST"),
        ("PROPFIND", "/v1/hotels", "GET, POST"),
        ("POST", "/v1/hotels/x", "GET"),
        ("DELETE", "/v1/hotels/x/bookings/y", "GET, PATCH"),
        ("GET", "/v1/hotels/x/bookings/y/actions/cancel", "POST"),
        ("POST", "/v1/events", "GET"),
        ("POST", "/health/live", "GET"),
    ],
)
def test_a_method_that_is_not_for_a_url_is_told_which_are(front: Gateway, method: str, path: str, allow: str) -> None:
    reply = front.send(method, path)
    assert_problem(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == allow


def in_status(front: Gateway, hotel: str, status: str) -> dict[str, Any]:
    """A booking for today that has come to this status."""
    ways = {
        "held": [], "released": ["release"], "expired": [], "confirmed": [], "cancelled": ["cancel"],
        "no_show": ["no-show"], "in_house": ["check-in"], "checked_out": ["check-in", "check-out"],
    }  # fmt: skip
    hold = status in ("held", "released", "expired")
    terms = {"status": "held", "hold_seconds": 60 if status == "expired" else 9_999} if hold else {}
    booking = front.book(hotel, 0, **terms)
    for action in ways[status]:
        booking = front.act(hotel, booking, action).json
    if status == "expired":
        front.advance_clock(60)
        booking = front.get(booking_path(hotel, booking)).json
    assert booking["status"] == status
    return booking


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ("held", {"confirm", "release", "extend", "change", "move", "pin"}),
        ("confirmed", {"check-in", "cancel", "no-show", "change", "move", "pin"}),
        ("in_house", {"check-out", "change", "move"}),
        ("cancelled", {"reinstate"}),
        ("no_show", {"reinstate"}),
        ("checked_out", set()),
        ("released", set()),
        ("expired", set()),
    ],
)
def test_what_a_status_does_not_allow_is_refused_with_what_it_does(
    front: Gateway, hotel: str, status: str, allowed: set[str]
) -> None:
    booking = in_status(front, hotel, status)
    refused = [action for action in ACTIONS if action not in allowed]
    with unharmed(front):
        for action in refused:
            fields = {"room": "101"} if action == "move" else {}
            problem = assert_problem(front.act(hotel, booking, action, **fields), 409, "not_allowed")
            assert (problem["action"], set(problem["allowed"])) == (action, allowed)
        if "change" not in allowed:
            reply = front.send("PATCH", booking_path(hotel, booking), {"notes": "x"})
            assert set(assert_problem(reply, 409, "not_allowed")["allowed"]) == allowed


def test_nobody_checks_in_before_the_day_of_arrival(front: Gateway, hotel: str) -> None:
    booking = front.book(hotel, arrival=1)
    for action in ("check-in", "no-show"):
        problem = assert_problem(front.act(hotel, booking, action), 409, "not_allowed")
        assert set(problem["allowed"]) == {"cancel", "change", "move", "pin"}


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"BREW /v1/hotels HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v1/hotels/\xed\xa0\x80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v1/hotels?cursor=\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v1/hotels HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", 400),
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 1_000 + b"\r\n", 400),
        (b"POST /v1/hotels HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST /v1/hotels HTTP/1.1\r\nHost: localhost\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET /v1/hotels HTTP/1.1\r\nHost: localhost\r\nExpect: miracles\r\n\r\n", 417),
    ],
    ids=lambda value: str(value)[:70],
)
def test_what_is_not_http_is_refused_and_harms_nobody(front: Gateway, request_bytes: bytes, status: int) -> None:
    with unharmed(front):
        assert front.send_bytes(request_bytes).status == status


def trickle(bare: socket.socket, pieces: Iterator[bytes]) -> None:
    """Send a piece now and then, until the other side has had enough."""
    deadline = monotonic() + 20 * HASTE_SECONDS
    bare.setblocking(False)
    while monotonic() < deadline:
        try:
            bare.send(next(pieces))
            if bare.recv(1, socket.MSG_PEEK) is not None:
                break
        except BlockingIOError:
            sleep(0.1)
        except OSError:
            break
    assert monotonic() < deadline, "the desk waits on and on"
    bare.settimeout(30)


def header_pieces(start: bytes) -> Iterator[bytes]:
    """A header that never ends."""
    yield start + b"GET /v1/hotels HTTP/1.1\r\n"
    while True:
        yield b"X: y\r\n"


def body_pieces(path: str) -> Iterator[bytes]:
    """A body that never comes to its end."""
    yield f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n".encode() + JSON + b'\r\n{"notes": "'
    while True:
        yield b"x"


def test_a_header_that_never_ends_is_cut_off(front: Gateway) -> None:
    with unharmed(front), front.connect() as bare:
        trickle(bare, header_pieces(b""))


def test_a_header_that_never_ends_is_cut_off_on_a_known_connection_too(front: Gateway) -> None:
    with unharmed(front), front.connect() as bare:
        bare.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_response(bare).status == 200
        trickle(bare, header_pieces(b""))


def test_a_body_that_never_comes_is_given_up(front: Gateway, hotel: str) -> None:
    with unharmed(front), front.connect() as bare:
        trickle(bare, body_pieces(f"{hotel}/bookings"))
        assert_problem(read_response(bare), 408, "body_timeout")


def test_a_connection_that_says_nothing_is_closed(front: Gateway) -> None:
    with unharmed(front), front.connect() as bare:
        bare.settimeout(20 * HASTE_SECONDS)
        assert bare.recv(1) == b""


def test_slow_clients_keep_nobody_waiting(front: Gateway, hotel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "body_seconds_max", 20 * HASTE_SECONDS)
    slow = [front.connect() for _ in range(50)]
    try:
        for bare in slow:
            bare.sendall(next(body_pieces(f"{hotel}/bookings")))
        start = monotonic()
        assert front.get(hotel).status == 200
        assert monotonic() - start < 10 * HASTE_SECONDS
    finally:
        for bare in slow:
            bare.close()
        sleep(0.2)


@pytest.mark.parametrize("length", [3, 60, -1])
def test_a_client_who_hangs_up_half_way_is_no_fault_of_ours(
    front: Gateway, hotel: str, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    request = next(body_pieces(f"{hotel}/bookings"))
    with unharmed(front):
        for _ in range(5):
            with front.connect() as bare:
                bare.sendall(request[:length])
        sleep(0.2)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_client_who_does_not_wait_for_the_answer_has_booked_once(front: Gateway) -> None:
    hotel = front.open_hotel({"DBL": 1})
    body = str(stay_request()).replace("'", '"').encode()
    head = (
        f"POST {hotel}/bookings HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n".encode()
        + JSON
        + b"\r\n"
    )
    for _ in range(10):
        with front.connect() as bare:
            bare.sendall(head + body)
    deadline = monotonic() + 30
    while not front.list_all(f"{hotel}/bookings") and monotonic() < deadline:
        sleep(0.05)
    assert len(front.list_all(f"{hotel}/bookings")) == 1
    assert front.post("/v1/hotels", hotel_plan(id="next-door")).status == 201
