"""Which requests are answered at all: to a host that the server is known as, by no page of another origin, and with a
body only as JSON. Each rule holds on every route; `browser/test_cross_origin.py` shows the same in a browser."""

import re
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from innkeeper.http.api.routes import OPERATIONS
from innkeeper.http.host_names import network
from innkeeper.http.origin_check import HostPolicy
from support.gateway import (
    ANSWER_SECONDS_MAX,
    Gateway,
    HttpResponse,
    assert_problem,
    gateway,
    hotel_plan,
    read_response,
    stay_request,
)
from support.required_tools import require

CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}
CHANGES = [
    (each.method, re.sub(r"{\w+}", "any", each.path.replace("{action}", "cancel")))
    for each in OPERATIONS
    if each.method != "GET"
]
READS = [re.sub(r"{\w+}", "any", each.path) for each in OPERATIONS if each.method == "GET"]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The server as the demo starts it: known by loopback names alone, with no proxy before it."""
    with gateway(tmp_path_factory.mktemp("front")) as opened:
        yield opened


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server with a name, behind a proxy on this machine."""
    hosts = HostPolicy(["hotel.example"], [network("127.0.0.1/32")])
    with gateway(tmp_path_factory.mktemp("front"), hosts=hosts) as opened:
        yield opened


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server with two names, whose proxy is not who asks here."""
    hosts = HostPolicy(["hotel.example", "2001:db8::7"], [network("10.0.0.0/8")])
    with gateway(tmp_path_factory.mktemp("front"), hosts=hosts) as opened:
        yield opened


def get(front: Gateway, host: str, path: str = "/v1/hotels", **headers: str) -> HttpResponse:
    """GET under this host; underscores in the names of headers stand for dashes."""
    return front.send(
        "GET", path, None, {"Host": host} | {name.replace("_", "-"): text for name, text in headers.items()}
    )


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:1", "LocalHost:65535", "localhost.", "localhost:", "desk.localhost:8080", "127.0.0.1",
     "127.1.2.3:80", "[::1]", "[::1]:8080", "[0:0::1]", "[::ffff:127.0.0.1]:8080"],
)  # fmt: skip
def test_a_loopback_name_is_known_with_any_port(front: Gateway, host: str) -> None:
    assert get(front, host).status == 200


@pytest.mark.parametrize(
    "host",
    ["stranger.test", "stranger.test:8080", "localhost.stranger.test", "127.0.0.1.stranger.test", "notlocalhost",
     "127.1", "2130706433", "0x7f.0.0.1", "0.0.0.0", "10.0.0.1", "192.168.0.1:80", "[::]", "[::2]", "[fe80::1]",
     "128.0.0.1", "hotel.example", "xn--nxasmq6b.test", "x" * 250],
)  # fmt: skip
def test_another_name_is_refused_with_what_to_do(front: Gateway, host: str) -> None:
    for path in ("/v1/hotels", "/", "/metrics", "/pages/front_desk.js", "/nothing", "/v1/events/stream"):
        problem = assert_problem(get(front, host, path), 421, "unknown_host")
        assert "--host-name" in problem["detail"]
    assert_problem(front.send("POST", "/v1/hotels", hotel_plan(id="unseen"), {"Host": host}), 421, "unknown_host")
    assert_problem(front.get("/v1/hotels/unseen"), 404)


@pytest.mark.parametrize(
    "host",
    ["", " ", ":80", "localhost:0", "localhost:65536", "localhost:x", "localhost:-1", "local host", "localhost/x",
     "user@localhost", "http://localhost", "localhost,stranger.test", "localhost;", "[::1", "::1", "[::1]x",
     "[127.0.0.1]", "[]", "[::g]", "[fe80::1%25eth0]", ".localhost", "a..localhost", ".", "caf\u00e9.localhost",
     "localhost#", "localhost?", "localhost\\", "x" * 300],
)  # fmt: skip
def test_a_malformed_host_is_refused(front: Gateway, host: str) -> None:
    assert_problem(get(front, host), 400, "malformed_host")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/hotels HTTP/1.0\r\n",
        b"GET http://stranger.test/v1/hotels HTTP/1.1\r\nHost: localhost\r\n",
        b"GET http://localhost:1/v1/hotels HTTP/1.1\r\nHost: localhost\r\n",
    ],
    ids=str,
)
def test_a_request_names_exactly_one_host(front: Gateway, head: bytes) -> None:
    assert_problem(front.send_bytes(head + b"Connection: close\r\n\r\n"), 400, "malformed_host")


@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "stranger.test")], ids=str)
def test_no_host_and_two_hosts_are_not_http(front: Gateway, hosts: tuple[str, ...]) -> None:
    named = "".join(f"Host: {host}\r\n" for host in hosts)
    for path in ("/v1/hotels", "/health/live"):
        reply = front.send_bytes(f"GET {path} HTTP/1.1\r\n{named}Connection: close\r\n\r\n".encode())
        assert (reply.status, "'Host' header" in reply.body.decode()) == (400, True)


def test_a_target_with_a_host_is_the_same_as_one_without(front: Gateway) -> None:
    head = b"GET http://%s/v1/hotels HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
    assert front.send_bytes(head % (b"LOCALHOST:7", b"localhost:7")).status == 200
    assert_problem(front.send_bytes(head % (b"stranger.test", b"stranger.test")), 421, "unknown_host")


def test_health_answers_whatever_name_it_is_asked_by(front: Gateway) -> None:
    for path in ("/health/live", "/health/ready"):
        for host in ("stranger.test", "10.0.0.1:8080", "", "two hosts"):
            assert get(front, host, path).status == 200
        assert front.send_bytes(f"GET {path} HTTP/1.0\r\n\r\n".encode()).status == 200
    for path in ("/health", "/health/../v1/hotels", "/health/..%2fv1/hotels", "/health/none", "//health/live"):
        assert get(front, "stranger.test", path).status in (421, 400)


def test_a_server_is_known_by_its_names_and_its_own_addresses(named: Gateway) -> None:
    for host in ("hotel.example", "HOTEL.example.:8443", "[2001:db8:0::7]", "localhost", "127.0.0.1"):
        assert get(named, host).status == 200
    for host in ("www.hotel.example", "hotel.example.stranger.test", "xhotel.example", "[2001:db8::8]"):
        assert_problem(get(named, host), 421, "unknown_host")


def own_address() -> str:
    """An address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        try:
            unsent.connect(("192.0.2.1", 9))
            found: str = unsent.getsockname()[0]
        except OSError:
            found = ""
    require(bool(found) and not found.startswith("127."), "this machine has no address but loopback")
    return found


def test_on_all_addresses_the_one_that_was_reached_is_known(tmp_path: Path) -> None:
    address = own_address()
    with gateway(tmp_path, hosts=HostPolicy(bound="0.0.0.0"), address="0.0.0.0") as front:

        def asked(reached: str, host: str, path: str = "/metrics") -> int:
            connection = HTTPConnection(reached, front.port, timeout=ANSWER_SECONDS_MAX)
            try:
                connection.request("GET", path, headers={"Host": host})
                return connection.getresponse().status
            finally:
                connection.close()

        for path in ("/metrics", "/v1/hotels"):
            assert asked(address, address, path) == 200
            assert asked(address, f"{address}:{front.port}", path) == 200
            assert asked(address, "localhost", path) == 200
            assert asked("127.0.0.1", "0.0.0.0", path) == 200
            assert asked("127.0.0.1", address, path) == 421
            assert asked(address, "stranger.test", path) == 421


@pytest.mark.parametrize(("bound", "reached"), [("::", "::1"), ("::1", "::1")])
def test_it_is_reached_by_ipv6_too(tmp_path: Path, bound: str, reached: str) -> None:
    require(socket.has_ipv6 and Path("/proc/net/if_inet6").exists(), "this machine has no IPv6")
    with gateway(tmp_path, hosts=HostPolicy(bound=bound), address=bound) as front:
        for host, status in ((f"[{reached}]", 200), ("[::2]", 421), ("stranger.test", 421)):
            with socket.create_connection((reached, front.port), timeout=ANSWER_SECONDS_MAX) as bare:
                bare.sendall(f"GET /v1/hotels HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert read_response(bare).status == status


FORWARDED_HEADERS: list[dict[str, str]] = [
    {"X_Forwarded_Host": "hotel.example"},
    {"X_Forwarded_Host": "stranger.test, hotel.example:8443"},
    {"Forwarded": "host=hotel.example"},
    {"Forwarded": 'for=192.0.2.1;HOST="hotel.example:8443";proto=https'},
    {"Forwarded": 'host=stranger.test, for="[2001:db8::1]:80" ; host="hotel.example"'},
    {"Forwarded": "host=hotel.example", "X_Forwarded_Host": "Hotel.Example"},
]


@pytest.mark.parametrize("headers", FORWARDED_HEADERS, ids=str)
def test_a_trusted_proxy_says_for_which_host_it_asks(
    front: Gateway, behind: Gateway, named: Gateway, headers: dict[str, str]
) -> None:
    assert get(behind, "upstream", **headers).status == 200
    for untrusting in (front, named):
        assert_problem(get(untrusting, "upstream", **headers), 421, "unknown_host")
        assert get(untrusting, "localhost", **dict.fromkeys(headers, "stranger.test")).status == 200


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"X_Forwarded_Host": "stranger.test"}, 421, "unknown_host"),
        ({"X_Forwarded_Host": "hotel.example, stranger.test"}, 421, "unknown_host"),
        ({"Forwarded": "host=hotel.example, host=stranger.test"}, 421, "unknown_host"),
        ({"Forwarded": "for=hotel.example"}, 421, "unknown_host"),
        ({"Forwarded": "host=hotel.example", "X_Forwarded_Host": "stranger.test"}, 400, "malformed_host"),
        ({"Forwarded": "host=stranger.test", "X_Forwarded_Host": "hotel.example"}, 400, "malformed_host"),
        ({"Forwarded": "proto=http", "X_Forwarded_Proto": "https"}, 400, "malformed_host"),
        ({"X_Forwarded_Proto": "ftp", "X_Forwarded_Host": "hotel.example"}, 400, "malformed_host"),
        ({"X_Forwarded_Host": ""}, 400, "malformed_host"),
        ({"X_Forwarded_Host": "hotel.example,"}, 400, "malformed_host"),
        ({"Forwarded": ""}, 400, "malformed_host"),
        ({"Forwarded": "host"}, 400, "malformed_host"),
        ({"Forwarded": 'host="hotel.example'}, 400, "malformed_host"),
        ({"Forwarded": "host=hotel.example;host=stranger.test"}, 400, "malformed_host"),
        ({"Forwarded": "host=hotel.example for=x"}, 400, "malformed_host"),
        ({"Forwarded": 'a="' + "\\a" * 3_500}, 400, "malformed_host"),
    ],
    ids=lambda value: str(value)[:80],
)
def test_a_proxy_that_names_no_host_of_ours_is_refused(
    behind: Gateway, headers: dict[str, str], status: int, code: str
) -> None:
    assert_problem(get(behind, "upstream", **headers), status, code)


def posted(front: Gateway, host: str, **headers: str) -> HttpResponse:
    """A POST without a body, which resumes billing, from a page that says these headers."""
    told = {"Host": host} | {name.replace("_", "-"): text for name, text in headers.items()}
    return front.send("POST", "/v1/subscribers/billing/actions/resume", None, told)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8080", "http://localhost:8080"),
        ("LOCALHOST:8080", "http://localhost:8080"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_a_page_of_the_same_origin_may_act(front: Gateway, host: str, origin: str) -> None:
    assert posted(front, host, Origin=origin).status == 200
    assert posted(front, host, Origin=origin, Sec_Fetch_Site="same-origin").status == 200
    assert posted(front, host, Sec_Fetch_Site="none").status == 200


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://localhost", "http://localhost:8081", "https://localhost:8080", "http://127.0.0.1:8080",
     "http://stranger.test", "http://localhost:8080.stranger.test", "http://stranger.test/http://localhost:8080", "file://",
     "http://localhost:8080/", "http://user@localhost:8080", "chrome-extension://abc", "localhost:8080", "*"],
)  # fmt: skip
def test_a_page_of_another_origin_may_not_act(front: Gateway, origin: str) -> None:
    for more in ({}, {"Sec_Fetch_Site": "same-origin"}):
        assert_problem(posted(front, "localhost:8080", Origin=origin, **more), 403, "cross_origin")


def test_two_origins_are_one_too_many(front: Gateway) -> None:
    head = "POST /v1/subscribers/billing/actions/resume HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
    for origins in (("http://localhost", "null"), ("http://stranger.test", "http://localhost")):
        request = head + "".join(f"Origin: {origin}\r\n" for origin in origins) + "\r\n"
        assert_problem(front.send_bytes(request.encode()), 403, "cross_origin")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "other"])
def test_a_page_of_another_site_may_not_act(front: Gateway, site: str) -> None:
    assert_problem(posted(front, "localhost", Sec_Fetch_Site=site), 403, "cross_origin")
    navigates = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert_problem(posted(front, "localhost", Sec_Fetch_Site=site, **navigates), 403, "cross_origin")


def test_behind_a_proxy_that_ends_tls_the_origin_is_that_of_the_proxy(behind: Gateway, named: Gateway) -> None:
    said = {"X_Forwarded_Host": "hotel.example", "X_Forwarded_Proto": "https"}
    assert posted(behind, "upstream", Origin="https://hotel.example", **said).status == 200
    assert posted(behind, "hotel.example", Origin="https://hotel.example", X_Forwarded_Proto="https").status == 200
    standard = "host=hotel.example;proto=https"
    assert posted(behind, "upstream", Origin="https://hotel.example:443", Forwarded=standard).status == 200
    for origin in ("http://hotel.example", "https://stranger.test", "https://hotel.example:8443", "http://upstream"):
        assert_problem(posted(behind, "upstream", Origin=origin, **said), 403, "cross_origin")
    refused = posted(named, "hotel.example", Origin="https://hotel.example", X_Forwarded_Proto="https")
    assert "--trusted-proxy" in assert_problem(refused, 403, "cross_origin")["detail"]


@pytest.mark.parametrize(("method", "path"), CHANGES, ids=str)
def test_no_route_can_be_acted_on_from_another_origin(front: Gateway, method: str, path: str) -> None:
    for headers in ({"Origin": "http://stranger.test"}, {"Origin": "null"}, CROSS_SITE):
        assert_problem(front.send(method, path, None, headers), 403, "cross_origin")
        assert_problem(front.send(method, path, {}, headers), 403, "cross_origin")


@pytest.mark.parametrize(("method", "path"), CHANGES, ids=str)
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", None]
)
def test_no_route_takes_a_body_that_is_not_json(front: Gateway, method: str, path: str, kind: str | None) -> None:
    told = "" if kind is None else f"Content-Type: {kind}\r\n"
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{told}"
    for rest in ("Content-Length: 2\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"):
        assert_problem(front.send_bytes((head + rest).encode()), 415, "unsupported_media_type")
    assert_problem(front.send_bytes((head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").encode()), 415)


def test_clients_that_are_no_browsers_act_as_before(front: Gateway) -> None:
    path = "/v1/subscribers/billing/actions/resume"
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "text/plain"}):
        assert front.send("POST", path, b"", headers).status == 200, "there is no body, whatever its type"
    assert front.post(path, {}).status == 200
    assert front.post(path, {}, {"Content-Type": "application/json; charset=utf-8"}).status == 200
    assert front.send("POST", "/v1/payment-providers/simulated/notifications", {}).status in (401, 422)
    assert front.post(f"{front.open_hotel()}/bookings", stay_request()).status == 201


@pytest.mark.parametrize("path", READS)
def test_a_page_of_another_origin_embeds_nothing(front: Gateway, path: str) -> None:
    for mode, destination in (("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe"), ("navigate", "object")):
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
        if not path.startswith("/health/"):
            assert_problem(front.send("GET", path, None, headers), 403, "cross_origin")
            assert_problem(front.send("GET", path, None, {"Origin": "http://stranger.test"}), 403, "cross_origin")


def test_a_link_from_another_site_leads_here(front: Gateway) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for path in ("/", "/docs", "/v1/hotels"):
        assert front.send("GET", path, None, headers).status == 200


def test_no_response_is_for_another_origin(front: Gateway, named: Gateway) -> None:
    hotel = front.open_hotel()
    replies: list[HttpResponse] = [
        *(front.get(path) for path in ("/", "/docs", "/pages/front_desk.css", "/v1/hotels", "/metrics", "/nothing")),
        *(front.get(path) for path in ("/health/live", "/openapi.json", hotel)),
        front.post(f"{hotel}/bookings", stay_request()),
        front.post(f"{hotel}/bookings", b"{"),
        front.send("DELETE", "/v1/hotels"),
        posted(front, "localhost", Origin="http://stranger.test"),
        posted(front, "stranger.test"),
        front.send("OPTIONS", hotel, None, {"Access-Control-Request-Method": "POST"}),
        stream_head(front),
    ]
    for reply in replies:
        assert reply.headers["cross-origin-resource-policy"] == "same-origin", reply
        assert reply.headers["x-content-type-options"] == "nosniff", reply
        assert not [name for name in reply.headers if name.startswith("access-control-")], reply


def stream_head(front: Gateway) -> HttpResponse:
    """The head of an event stream, which has no end."""
    with front.connect() as bare:
        bare.sendall(b"GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        text = b""
        while b"\r\n\r\n" not in text:
            text += bare.recv(4_096)
    lines = text.decode().partition("\r\n\r\n")[0].splitlines()
    headers: dict[str, Any] = dict(line.lower().split(": ", 1) for line in lines[1:])
    return HttpResponse(int(lines[0].split()[1]), headers, b"")
