"""Which requests are accepted: those to a known host, from no page of another origin, and with no body but JSON.
Each rule holds on every route; `browser/test_cross_origin.py` shows the same in a browser."""

import re
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from innkeeper.http.api.routes import OPERATIONS
from innkeeper.http.host_names import network
from innkeeper.http.middleware import HostPolicy
from support.gateway import (
    ANSWER_SECONDS_MAX,
    Gateway,
    HttpResponse,
    assert_problem,
    hotel_request,
    read_response,
    stay_request,
)
from support.gateway import (
    gateway as running_gateway,
)
from support.required_tools import require

CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "empty"}
WRITES = [
    (each.method, re.sub(r"{\w+}", "any", each.path.replace("{action}", "cancel")))
    for each in OPERATIONS
    if each.method != "GET"
]
READS = [re.sub(r"{\w+}", "any", each.path) for each in OPERATIONS if each.method == "GET"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server as the demo starts it: it accepts loopback names only and trusts no proxy."""
    with running_gateway(tmp_path_factory.mktemp("gateway")) as opened:
        yield opened


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server with a host name, behind a trusted proxy on this machine."""
    hosts = HostPolicy(["hotel.example"], [network("127.0.0.1/32")])
    with running_gateway(tmp_path_factory.mktemp("gateway"), hosts=hosts) as opened:
        yield opened


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server with two host names that trusts a proxy, but not at the address of these clients."""
    hosts = HostPolicy(["hotel.example", "2001:db8::7"], [network("10.0.0.0/8")])
    with running_gateway(tmp_path_factory.mktemp("gateway"), hosts=hosts) as opened:
        yield opened


def get(gateway: Gateway, host: str, path: str = "/v1/hotels", **headers: str) -> HttpResponse:
    """GET with this Host header; underscores in the names of headers stand for dashes."""
    return gateway.send(
        "GET", path, None, {"Host": host} | {name.replace("_", "-"): text for name, text in headers.items()}
    )


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:1", "LocalHost:65535", "localhost.", "localhost:", "desk.localhost:8080", "127.0.0.1",
     "127.1.2.3:80", "[::1]", "[::1]:8080", "[0:0::1]", "[::ffff:127.0.0.1]:8080"],
)  # fmt: skip
def test_a_loopback_host_is_accepted_with_any_port(gateway: Gateway, host: str) -> None:
    assert get(gateway, host).status == 200


@pytest.mark.parametrize(
    "host",
    ["stranger.test", "stranger.test:8080", "localhost.stranger.test", "127.0.0.1.stranger.test", "notlocalhost",
     "127.1", "2130706433", "0x7f.0.0.1", "0.0.0.0", "10.0.0.1", "192.168.0.1:80", "[::]", "[::2]", "[fe80::1]",
     "128.0.0.1", "hotel.example", "xn--nxasmq6b.test", "x" * 250],
)  # fmt: skip
def test_an_unknown_host_is_refused_with_the_option_that_adds_it(gateway: Gateway, host: str) -> None:
    for path in ("/v1/hotels", "/", "/metrics", "/pages/front_desk.js", "/nothing", "/v1/events/stream"):
        problem = assert_problem(get(gateway, host, path), 421, "unknown_host")
        assert "--host-name" in problem["detail"]
    assert_problem(gateway.send("POST", "/v1/hotels", hotel_request(id="unseen"), {"Host": host}), 421, "unknown_host")
    assert_problem(gateway.get("/v1/hotels/unseen"), 404)


@pytest.mark.parametrize(
    "host",
    ["", " ", ":80", "localhost:0", "localhost:65536", "localhost:x", "localhost:-1", "local host", "localhost/x",
     "user@localhost", "http://localhost", "localhost,stranger.test", "localhost;", "[::1", "::1", "[::1]x",
     "[127.0.0.1]", "[]", "[::g]", "[fe80::1%25eth0]", ".localhost", "a..localhost", ".", "caf\u00e9.localhost",
     "localhost#", "localhost?", "localhost\\", "x" * 300],
)  # fmt: skip
def test_a_malformed_host_is_refused(gateway: Gateway, host: str) -> None:
    assert_problem(get(gateway, host), 400, "malformed_host")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/hotels HTTP/1.0\r\n",
        b"GET http://stranger.test/v1/hotels HTTP/1.1\r\nHost: localhost\r\n",
        b"GET http://localhost:1/v1/hotels HTTP/1.1\r\nHost: localhost\r\n",
    ],
    ids=str,
)
def test_a_request_without_a_host_or_with_two_different_ones_is_refused(gateway: Gateway, head: bytes) -> None:
    assert_problem(gateway.send_bytes(head + b"Connection: close\r\n\r\n"), 400, "malformed_host")


@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "stranger.test")], ids=str)
def test_a_missing_or_repeated_host_header_is_refused_as_malformed_http(
    gateway: Gateway, hosts: tuple[str, ...]
) -> None:
    host_headers = "".join(f"Host: {host}\r\n" for host in hosts)
    for path in ("/v1/hotels", "/health/live"):
        reply = gateway.send_bytes(f"GET {path} HTTP/1.1\r\n{host_headers}Connection: close\r\n\r\n".encode())
        assert (reply.status, "'Host' header" in reply.body.decode()) == (400, True)


def test_the_host_of_an_absolute_target_is_checked(gateway: Gateway) -> None:
    head = b"GET http://%s/v1/hotels HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
    assert gateway.send_bytes(head % (b"LOCALHOST:7", b"localhost:7")).status == 200
    assert_problem(gateway.send_bytes(head % (b"stranger.test", b"stranger.test")), 421, "unknown_host")


def test_health_endpoints_accept_any_host(gateway: Gateway) -> None:
    for path in ("/health/live", "/health/ready"):
        for host in ("stranger.test", "10.0.0.1:8080", "", "two hosts"):
            assert get(gateway, host, path).status == 200
        assert gateway.send_bytes(f"GET {path} HTTP/1.0\r\n\r\n".encode()).status == 200
    for path in ("/health", "/health/../v1/hotels", "/health/..%2fv1/hotels", "/health/none", "//health/live"):
        assert get(gateway, "stranger.test", path).status in (421, 400)


def test_a_server_accepts_its_configured_names_and_addresses(named: Gateway) -> None:
    for host in ("hotel.example", "HOTEL.example.:8443", "[2001:db8:0::7]", "localhost", "127.0.0.1"):
        assert get(named, host).status == 200
    for host in ("www.hotel.example", "hotel.example.stranger.test", "xhotel.example", "[2001:db8::8]"):
        assert_problem(get(named, host), 421, "unknown_host")


def own_address() -> str:
    """An address of this machine that is not loopback; finding it sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            found: str = probe.getsockname()[0]
        except OSError:
            found = ""
    require(bool(found) and not found.startswith("127."), "this machine has no address but loopback")
    return found


def test_a_server_on_all_addresses_accepts_the_address_that_was_reached(tmp_path: Path) -> None:
    address = own_address()
    with running_gateway(tmp_path, hosts=HostPolicy(bound="0.0.0.0"), address="0.0.0.0") as gateway:

        def status_of(reached: str, host: str, path: str = "/metrics") -> int:
            connection = HTTPConnection(reached, gateway.port, timeout=ANSWER_SECONDS_MAX)
            try:
                connection.request("GET", path, headers={"Host": host})
                return connection.getresponse().status
            finally:
                connection.close()

        for path in ("/metrics", "/v1/hotels"):
            assert status_of(address, address, path) == 200
            assert status_of(address, f"{address}:{gateway.port}", path) == 200
            assert status_of(address, "localhost", path) == 200
            assert status_of("127.0.0.1", "0.0.0.0", path) == 200
            assert status_of("127.0.0.1", address, path) == 421
            assert status_of(address, "stranger.test", path) == 421


@pytest.mark.parametrize(("bound", "reached"), [("::", "::1"), ("::1", "::1")])
def test_hosts_are_checked_over_ipv6(tmp_path: Path, bound: str, reached: str) -> None:
    require(socket.has_ipv6 and Path("/proc/net/if_inet6").exists(), "this machine has no IPv6")
    with running_gateway(tmp_path, hosts=HostPolicy(bound=bound), address=bound) as gateway:
        for host, status in ((f"[{reached}]", 200), ("[::2]", 421), ("stranger.test", 421)):
            with socket.create_connection((reached, gateway.port), timeout=ANSWER_SECONDS_MAX) as connection:
                connection.sendall(f"GET /v1/hotels HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert read_response(connection).status == status


FORWARDED_HEADERS: list[dict[str, str]] = [
    {"X_Forwarded_Host": "hotel.example"},
    {"X_Forwarded_Host": "stranger.test, hotel.example:8443"},
    {"Forwarded": "host=hotel.example"},
    {"Forwarded": 'for=192.0.2.1;HOST="hotel.example:8443";proto=https'},
    {"Forwarded": 'host=stranger.test, for="[2001:db8::1]:80" ; host="hotel.example"'},
    {"Forwarded": "host=hotel.example", "X_Forwarded_Host": "Hotel.Example"},
]


@pytest.mark.parametrize("headers", FORWARDED_HEADERS, ids=str)
def test_forwarded_hosts_are_accepted_only_from_a_trusted_proxy(
    gateway: Gateway, proxied: Gateway, named: Gateway, headers: dict[str, str]
) -> None:
    assert get(proxied, "upstream", **headers).status == 200
    for untrusting in (gateway, named):
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
def test_an_unknown_or_malformed_forwarded_host_is_refused(
    proxied: Gateway, headers: dict[str, str], status: int, code: str
) -> None:
    assert_problem(get(proxied, "upstream", **headers), status, code)


def resume_billing(gateway: Gateway, host: str, **headers: str) -> HttpResponse:
    """A POST without a body that resumes billing, with these headers."""
    all_headers = {"Host": host} | {name.replace("_", "-"): text for name, text in headers.items()}
    return gateway.send("POST", "/v1/subscribers/billing/actions/resume", None, all_headers)


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
def test_a_write_from_the_same_origin_is_accepted(gateway: Gateway, host: str, origin: str) -> None:
    assert resume_billing(gateway, host, Origin=origin).status == 200
    assert resume_billing(gateway, host, Origin=origin, Sec_Fetch_Site="same-origin").status == 200
    assert resume_billing(gateway, host, Sec_Fetch_Site="none").status == 200


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://localhost", "http://localhost:8081", "https://localhost:8080", "http://127.0.0.1:8080",
     "http://stranger.test", "http://localhost:8080.stranger.test", "http://stranger.test/http://localhost:8080", "file://",
     "http://localhost:8080/", "http://user@localhost:8080", "chrome-extension://abc", "localhost:8080", "*"],
)  # fmt: skip
def test_a_write_from_another_origin_is_refused(gateway: Gateway, origin: str) -> None:
    for more in ({}, {"Sec_Fetch_Site": "same-origin"}):
        assert_problem(resume_billing(gateway, "localhost:8080", Origin=origin, **more), 403, "cross_origin")


def test_two_origin_headers_are_refused(gateway: Gateway) -> None:
    head = "POST /v1/subscribers/billing/actions/resume HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
    for origins in (("http://localhost", "null"), ("http://stranger.test", "http://localhost")):
        request = head + "".join(f"Origin: {origin}\r\n" for origin in origins) + "\r\n"
        assert_problem(gateway.send_bytes(request.encode()), 403, "cross_origin")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "other"])
def test_a_write_from_another_site_is_refused(gateway: Gateway, site: str) -> None:
    assert_problem(resume_billing(gateway, "localhost", Sec_Fetch_Site=site), 403, "cross_origin")
    navigates = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert_problem(resume_billing(gateway, "localhost", Sec_Fetch_Site=site, **navigates), 403, "cross_origin")


def test_behind_a_tls_proxy_the_origin_must_match_the_forwarded_host(proxied: Gateway, named: Gateway) -> None:
    forwarded = {"X_Forwarded_Host": "hotel.example", "X_Forwarded_Proto": "https"}
    assert resume_billing(proxied, "upstream", Origin="https://hotel.example", **forwarded).status == 200
    assert (
        resume_billing(proxied, "hotel.example", Origin="https://hotel.example", X_Forwarded_Proto="https").status
        == 200
    )
    forwarded_header = "host=hotel.example;proto=https"
    assert (
        resume_billing(proxied, "upstream", Origin="https://hotel.example:443", Forwarded=forwarded_header).status
        == 200
    )
    for origin in ("http://hotel.example", "https://stranger.test", "https://hotel.example:8443", "http://upstream"):
        assert_problem(resume_billing(proxied, "upstream", Origin=origin, **forwarded), 403, "cross_origin")
    refused = resume_billing(named, "hotel.example", Origin="https://hotel.example", X_Forwarded_Proto="https")
    assert "--trusted-proxy" in assert_problem(refused, 403, "cross_origin")["detail"]


@pytest.mark.parametrize(("method", "path"), WRITES, ids=str)
def test_every_route_refuses_writes_from_another_origin(gateway: Gateway, method: str, path: str) -> None:
    for headers in ({"Origin": "http://stranger.test"}, {"Origin": "null"}, CROSS_SITE):
        assert_problem(gateway.send(method, path, None, headers), 403, "cross_origin")
        assert_problem(gateway.send(method, path, {}, headers), 403, "cross_origin")


@pytest.mark.parametrize(("method", "path"), WRITES, ids=str)
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", None]
)
def test_every_route_refuses_a_body_that_is_not_json(
    gateway: Gateway, method: str, path: str, kind: str | None
) -> None:
    content_type = "" if kind is None else f"Content-Type: {kind}\r\n"
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{content_type}"
    for rest in ("Content-Length: 2\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"):
        assert_problem(gateway.send_bytes((head + rest).encode()), 415, "unsupported_media_type")
    assert_problem(gateway.send_bytes((head + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").encode()), 415)


def test_clients_without_browser_headers_are_accepted(gateway: Gateway) -> None:
    path = "/v1/subscribers/billing/actions/resume"
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "text/plain"}):
        assert gateway.send("POST", path, b"", headers).status == 200, "there is no body, whatever its type"
    assert gateway.post(path, {}).status == 200
    assert gateway.post(path, {}, {"Content-Type": "application/json; charset=utf-8"}).status == 200
    assert gateway.send("POST", "/v1/payment-providers/simulated/notifications", {}).status in (401, 422)
    assert gateway.post(f"{gateway.open_hotel()}/bookings", stay_request()).status == 201


@pytest.mark.parametrize("path", READS)
def test_another_origin_cannot_embed_any_resource(gateway: Gateway, path: str) -> None:
    for mode, destination in (("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe"), ("navigate", "object")):
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
        if not path.startswith("/health/"):
            assert_problem(gateway.send("GET", path, None, headers), 403, "cross_origin")
            assert_problem(gateway.send("GET", path, None, {"Origin": "http://stranger.test"}), 403, "cross_origin")


def test_a_link_from_another_site_is_followed(gateway: Gateway) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    for path in ("/", "/docs", "/v1/hotels"):
        assert gateway.send("GET", path, None, headers).status == 200


def test_no_response_can_be_read_by_another_origin(gateway: Gateway, named: Gateway) -> None:
    hotel = gateway.open_hotel()
    replies: list[HttpResponse] = [
        *(gateway.get(path) for path in ("/", "/docs", "/pages/front_desk.css", "/v1/hotels", "/metrics", "/nothing")),
        *(gateway.get(path) for path in ("/health/live", "/openapi.json", hotel)),
        gateway.post(f"{hotel}/bookings", stay_request()),
        gateway.post(f"{hotel}/bookings", b"{"),
        gateway.send("DELETE", "/v1/hotels"),
        resume_billing(gateway, "localhost", Origin="http://stranger.test"),
        resume_billing(gateway, "stranger.test"),
        gateway.send("OPTIONS", hotel, None, {"Access-Control-Request-Method": "POST"}),
        stream_head(gateway),
    ]
    for reply in replies:
        assert reply.headers["cross-origin-resource-policy"] == "same-origin", reply
        assert reply.headers["x-content-type-options"] == "nosniff", reply
        assert not [name for name in reply.headers if name.startswith("access-control-")], reply


def stream_head(gateway: Gateway) -> HttpResponse:
    """The response head of an event stream, whose body has no end."""
    with gateway.connect() as connection:
        connection.sendall(b"GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        text = b""
        while b"\r\n\r\n" not in text:
            text += connection.recv(4_096)
    lines = text.decode().partition("\r\n\r\n")[0].splitlines()
    headers: dict[str, Any] = dict(line.lower().split(": ", 1) for line in lines[1:])
    return HttpResponse(int(lines[0].split()[1]), headers, b"")
