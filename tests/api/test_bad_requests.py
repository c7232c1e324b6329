"""Malformed HTTP and JSON, and clients that stall or hang up: each is refused and affects no other client."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import pytest
from innkeeper.protocol.values import limits
from support.gateway import Gateway, assert_problem, booking_path, hotel_request, read_response, stay_request
from support.gateway import gateway as running_gateway

ACTIONS = (
    "confirm", "release", "extend", "cancel", "reinstate", "check-in", "check-out", "no-show", "move", "pin", "unpin",
)  # fmt: skip
JSON = b"Content-Type: application/json\r\n"
CLIENT_SECONDS_MAX = 1


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for this file, with short timeouts for headers and bodies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "header_seconds_max", CLIENT_SECONDS_MAX)
        patch.setattr(limits, "body_seconds_max", CLIENT_SECONDS_MAX)
        with running_gateway(tmp_path_factory.mktemp("gateway")) as opened:
            yield opened


@pytest.fixture(scope="module")
def hotel(gateway: Gateway) -> str:
    """A hotel with many doubles; its path."""
    return gateway.open_hotel({"DBL": 20})


@pytest.fixture(scope="module")
def booking(gateway: Gateway, hotel: str) -> str:
    """The path of a confirmed booking in that hotel."""
    return booking_path(hotel, gateway.book(hotel))


@contextmanager
def unchanged(gateway: Gateway) -> Iterator[None]:
    """The requests inside record no event, and the gateway stays ready."""
    before = gateway.last_position()
    yield
    assert gateway.last_position() == before
    assert gateway.get("/health/ready").status == 200


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
def test_a_body_that_is_not_json_in_utf_8_is_refused(gateway: Gateway, route: tuple[str, str], body: bytes) -> None:
    with unchanged(gateway):
        reply = gateway.send(*route, body)
        assert reply.status in (400, 422), reply  # 422 where a field before the fault is invalid
        assert_problem(reply, reply.status, "not_json" if reply.status == 400 else "invalid")


@pytest.mark.parametrize("body", [b"{", b"nope", b"\xff", b""])
def test_invalid_json_gets_400_and_an_empty_body_is_an_empty_object(gateway: Gateway, hotel: str, body: bytes) -> None:
    status, code = (400, "not_json") if body else (422, "invalid")  # an empty body counts as an empty object
    for path in ("/v1/hotels", f"{hotel}/bookings"):
        assert_problem(gateway.post(path, body), status, code)


@pytest.mark.parametrize("start", [b"", b'{"notes":', b'{"guest":{"name":', b'{"x":', b'{"room_types":[{"rooms":['])
@pytest.mark.parametrize("nest", [b"[", b'{"a":'])
def test_too_deep_nesting_is_refused(gateway: Gateway, route: tuple[str, str], start: bytes, nest: bytes) -> None:
    body = start + nest * (60_000 // len(nest))
    with unchanged(gateway):
        reply = gateway.send(*route, body)
        assert reply.status in (400, 422), reply
        assert_problem(reply, reply.status)


def test_a_too_large_body_is_refused_with_or_without_a_length(gateway: Gateway, route: tuple[str, str]) -> None:
    method, path = route
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + JSON
    large = b'{"notes": "' + b"x" * 70_000 + b'"}'
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (large[:30_000], large[30_000:])) + b"0\r\n\r\n"
    with unchanged(gateway):
        assert_problem(gateway.send_bytes(head + b"Content-Length: %d\r\n\r\n" % len(large) + large), 413, "too_large")
        assert_problem(gateway.send_bytes(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks), 413, "too_large")


def test_a_body_of_the_maximum_size_is_read(gateway: Gateway, hotel: str) -> None:
    body = b'{"to": "x"}'
    reply = gateway.post(f"{hotel}/night-audit", body.ljust(limits.body_bytes_max))
    assert_problem(reply, 422, "invalid", "to", "date")
    assert_problem(gateway.post(f"{hotel}/night-audit", body.ljust(limits.body_bytes_max + 1)), 413, "too_large")


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
def test_an_unsupported_media_type_is_refused(
    gateway: Gateway, route: tuple[str, str], headers: dict[str, str]
) -> None:
    with unchanged(gateway):
        assert_problem(gateway.send(*route, {"to": "2026-06-02"}, headers), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "part", ["none", "%00", "%ED%A0%80", "%FF", "%F0%9F%9B%8F", "..%2f..", "%2e%2e%2fx", "x" * 4_000]
)
def test_an_unknown_hotel_or_booking_is_not_found(gateway: Gateway, hotel: str, part: str) -> None:
    with unchanged(gateway):
        for base in (f"/v1/hotels/{part}", f"{hotel}/bookings/{part}"):
            for reply in (gateway.get(base), gateway.post(f"{base}/actions/cancel"), gateway.get(f"{base}/history")):
                assert_problem(reply, 404, "not_found")
        for reply in (
            gateway.post(f"/v1/hotels/{part}/bookings", stay_request()),
            gateway.get(f"/v1/hotels/{part}/bookings"),
            gateway.get(f"/v1/hotels/{part}/availability?arrival=2026-06-02&departure=2026-06-03"),
            gateway.get(f"/v1/hotels/{part}/tape-chart?from=2026-06-02&to=2026-06-03"),
            gateway.post(f"/v1/hotels/{part}/night-audit"),
            gateway.send("PATCH", f"{hotel}/bookings/{part}", {"notes": "x"}),
        ):
            assert_problem(reply, 404, "not_found")


def test_a_booking_is_not_found_in_another_hotel(gateway: Gateway, hotel: str) -> None:
    booking = gateway.book(hotel)
    other = booking_path(gateway.open_hotel(), booking)
    for reply in (gateway.get(other), gateway.get(f"{other}/history"), gateway.post(f"{other}/actions/cancel")):
        assert_problem(reply, 404, "not_found")
    assert_problem(gateway.send("PATCH", other, {"notes": "x"}), 404, "not_found")


def test_an_unknown_action_is_not_found(gateway: Gateway, booking: str) -> None:
    for action in ("explode", "change", "CANCEL", "%00"):
        assert_problem(gateway.post(f"{booking}/actions/{action}"), 404, "not_found")


def test_a_path_is_decoded_once(gateway: Gateway, hotel: str) -> None:
    assert gateway.get(hotel.replace("hotel-", "%68otel-")).status == 200
    assert_problem(gateway.get(hotel.replace("hotel-", "%2568otel-")), 404, "not_found")


@pytest.mark.parametrize("query", ["cursor=%ED%A0%80", "cursor=%00", "cursor=%FF", "room=%00"])
def test_invalid_characters_in_a_query_are_refused(gateway: Gateway, hotel: str, query: str) -> None:
    assert_problem(gateway.get(f"{hotel}/bookings?{query}"), 422, "invalid")


@pytest.mark.parametrize("path", ["/nothing", "/v1", "/v1/hotels/", "/v2/hotels", "//", "/health", "/v1/hotels/x/y"])
def test_an_unknown_url_is_not_found(gateway: Gateway, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert_problem(gateway.send(method, path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/v1/hotels", "GET, POST"),
        ("PUT", "/v1/hotels", "GET, POST"),
        ("OPTIONS", "/v1/hotels", "GET, POST"),
        ("PROPFIND", "/v1/hotels", "GET, POST"),
        ("POST", "/v1/hotels/x", "GET, PATCH"),
        ("DELETE", "/v1/hotels/x/bookings/y", "GET, PATCH"),
        ("GET", "/v1/hotels/x/bookings/y/actions/cancel", "POST"),
        ("POST", "/v1/events", "GET"),
        ("POST", "/health/live", "GET"),
    ],
)
def test_an_unsupported_method_gets_405_and_the_allowed_ones(
    gateway: Gateway, method: str, path: str, allow: str
) -> None:
    reply = gateway.send(method, path)
    assert_problem(reply, 405, "method_not_allowed")
    assert reply.headers["allow"] == allow


def in_status(gateway: Gateway, hotel: str, status: str) -> dict[str, Any]:
    """A booking for today, brought to this status."""
    actions = {
        "held": [], "released": ["release"], "expired": [], "confirmed": [], "cancelled": ["cancel"],
        "no_show": ["no-show"], "in_house": ["check-in"], "checked_out": ["check-in", "check-out"],
    }  # fmt: skip
    hold = status in ("held", "released", "expired")
    terms = {"status": "held", "hold_seconds": 60 if status == "expired" else 9_999} if hold else {}
    booking = gateway.book(hotel, 0, **terms)
    for action in actions[status]:
        fields = {"reason_code": "early"} if action == "check-out" else {}
        booking = gateway.act(hotel, booking, action, **fields).json
    if status == "expired":
        gateway.advance_clock(60)
        booking = gateway.get(booking_path(hotel, booking)).json
    assert booking["status"] == status
    return booking


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ("held", {"confirm", "release", "extend", "change", "move", "swap", "pin"}),
        ("confirmed", {"check-in", "cancel", "no-show", "change", "move", "swap", "pin"}),
        ("in_house", {"undo-check-in", "check-out", "change", "move", "swap"}),
        ("cancelled", {"reinstate"}),
        ("no_show", {"reinstate"}),
        ("checked_out", {"undo-check-out"}),
        ("released", set()),
        ("expired", set()),
    ],
)
def test_an_action_that_the_status_forbids_is_refused_with_the_allowed_ones(
    gateway: Gateway, hotel: str, status: str, allowed: set[str]
) -> None:
    booking = in_status(gateway, hotel, status)
    refused = [action for action in ACTIONS if action not in allowed]
    with unchanged(gateway):
        for action in refused:
            fields = {"move": {"room": "101"}, "swap": {"with": booking["id"]}}.get(action, {})
            problem = assert_problem(gateway.act(hotel, booking, action, **fields), 409, "not_allowed")
            assert (problem["action"], set(problem["allowed"])) == (action, allowed)
        if "change" not in allowed:
            reply = gateway.send("PATCH", booking_path(hotel, booking), {"notes": "x"})
            assert set(assert_problem(reply, 409, "not_allowed")["allowed"]) == allowed


def test_check_in_and_no_show_are_refused_before_the_day_of_arrival(gateway: Gateway, hotel: str) -> None:
    booking = gateway.book(hotel, arrival=1)
    for action in ("check-in", "no-show"):
        problem = assert_problem(gateway.act(hotel, booking, action), 409, "not_allowed")
        assert set(problem["allowed"]) == {"cancel", "change", "move", "swap", "pin"}


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
def test_malformed_http_is_refused_and_changes_nothing(gateway: Gateway, request_bytes: bytes, status: int) -> None:
    with unchanged(gateway):
        assert gateway.send_bytes(request_bytes).status == status


def send_slowly(connection: socket.socket, pieces: Iterator[bytes]) -> None:
    """Send piece after piece until the server replies or closes the connection."""
    deadline = monotonic() + 20 * CLIENT_SECONDS_MAX
    connection.setblocking(False)
    while monotonic() < deadline:
        try:
            connection.send(next(pieces))
            if connection.recv(1, socket.MSG_PEEK) is not None:
                break
        except BlockingIOError:
            sleep(0.1)
        except OSError:
            break
    assert monotonic() < deadline, "the server did not end the request"
    connection.settimeout(30)


def endless_header(start: bytes) -> Iterator[bytes]:
    """A request whose header never ends."""
    yield start + b"GET /v1/hotels HTTP/1.1\r\n"
    while True:
        yield b"X: y\r\n"


def endless_body(path: str) -> Iterator[bytes]:
    """A request whose body never reaches its declared length."""
    yield f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n".encode() + JSON + b'\r\n{"notes": "'
    while True:
        yield b"x"


def test_a_header_that_never_ends_times_out(gateway: Gateway) -> None:
    with unchanged(gateway), gateway.connect() as connection:
        send_slowly(connection, endless_header(b""))


def test_a_header_that_never_ends_times_out_on_a_reused_connection(gateway: Gateway) -> None:
    with unchanged(gateway), gateway.connect() as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_response(connection).status == 200
        send_slowly(connection, endless_header(b""))


def test_a_body_that_never_ends_times_out(gateway: Gateway, hotel: str) -> None:
    with unchanged(gateway), gateway.connect() as connection:
        send_slowly(connection, endless_body(f"{hotel}/bookings"))
        assert_problem(read_response(connection), 408, "body_timeout")


def test_a_connection_that_sends_nothing_is_closed(gateway: Gateway) -> None:
    with unchanged(gateway), gateway.connect() as connection:
        connection.settimeout(20 * CLIENT_SECONDS_MAX)
        assert connection.recv(1) == b""


def test_slow_clients_do_not_delay_others(gateway: Gateway, hotel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "body_seconds_max", 20 * CLIENT_SECONDS_MAX)
    slow = [gateway.connect() for _ in range(50)]
    try:
        for connection in slow:
            connection.sendall(next(endless_body(f"{hotel}/bookings")))
        start = monotonic()
        assert gateway.get(hotel).status == 200
        assert monotonic() - start < 10 * CLIENT_SECONDS_MAX
    finally:
        for connection in slow:
            connection.close()
        sleep(0.2)


@pytest.mark.parametrize("length", [3, 60, -1])
def test_a_client_that_disconnects_within_a_request_causes_no_error(
    gateway: Gateway, hotel: str, length: int, caplog: pytest.LogCaptureFixture
) -> None:
    request = next(endless_body(f"{hotel}/bookings"))
    with unchanged(gateway):
        for _ in range(5):
            with gateway.connect() as connection:
                connection.sendall(request[:length])
        sleep(0.2)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_client_that_does_not_wait_for_the_reply_books_once(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    body = str(stay_request()).replace("'", '"').encode()
    head = (
        f"POST {hotel}/bookings HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n".encode()
        + JSON
        + b"\r\n"
    )
    for _ in range(10):
        with gateway.connect() as connection:
            connection.sendall(head + body)
    deadline = monotonic() + 30
    while not gateway.list_all(f"{hotel}/bookings") and monotonic() < deadline:
        sleep(0.05)
    assert len(gateway.list_all(f"{hotel}/bookings")) == 1
    assert gateway.post("/v1/hotels", hotel_request(id="next-door")).status == 201
