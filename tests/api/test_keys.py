"""API keys: requests without a known key are refused, and changes are recorded under the key's name."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from innkeeper.http.keys import ApiKeys, InvalidKeysFile
from innkeeper.protocol.values.operator_error import EXIT_USAGE
from support.gateway import Gateway, assert_problem, booking_path, hotel_request, load_run, stay_request
from support.gateway import gateway as running_gateway

WEB, DESK = "w" * 20, "desk-key-café-1234567"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with two keys."""
    with running_gateway(tmp_path_factory.mktemp("gateway"), ApiKeys({"website": WEB, "night desk": DESK})) as opened:
        yield opened


def bearer(key: str) -> dict[str, str]:
    """The header with a key."""
    return {"Authorization": f"Bearer {key}".encode().decode("latin-1")}


def basic(user: str, password: str) -> dict[str, str]:
    """The header with a user and a password, as a browser sends it."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def raw(value: bytes) -> dict[str, str]:
    """The header with these bytes."""
    return {"Authorization": value.decode("latin-1")}


UNKNOWN_KEYS = [
    {},
    raw(b""),
    raw(b"Bearer"),
    raw(b"Bearer "),
    bearer("wrong"),
    bearer(WEB[:-1]),
    bearer(WEB + "w"),
    bearer(WEB.upper()),
    raw(WEB.encode()),
    raw(b"Digest " + WEB.encode()),
    raw(b"Bearer \xff\xfe"),
    raw(b"Bearer \xed\xa0\x80"),
    raw(b"Basic " + WEB.encode()),
    raw(b"Basic \xff"),
    raw(b"Basic caf\xc3\xa9"),
    raw(b"Basic !"),
    raw(b"Basic " + b64encode(b"\xff:\xff")),
    raw(b"Basic " + b64encode(WEB.encode())),
    basic("website", "wrong"),
    basic(WEB, ""),
]


@pytest.mark.parametrize("headers", UNKNOWN_KEYS, ids=str)
def test_a_request_without_a_known_key_is_refused(gateway: Gateway, headers: dict[str, str]) -> None:
    for method, path, body in (
        ("GET", "/v1/hotels", None),
        ("GET", "/v1/events", None),
        ("GET", "/nothing", None),
        ("GET", "/", None),
        ("DELETE", "/v1/hotels", None),
        ("POST", "/v1/hotels", hotel_request(id="unseen")),
    ):
        reply = gateway.send(method, path, body, headers)
        assert_problem(reply, 401, "key_required")
        assert reply.headers["www-authenticate"].startswith("Basic ")
    assert gateway.send("GET", "/v1/hotels/unseen", None, bearer(WEB)).status == 404


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("website", bearer(WEB)),
        ("website", {"Authorization": f"bearer   {WEB}"}),
        ("website", basic("website", WEB)),
        ("night desk", bearer(DESK)),
        ("night desk", basic("night desk", DESK)),
    ],
    ids=str,
)
def test_a_change_is_recorded_under_the_name_of_the_key(gateway: Gateway, name: str, headers: dict[str, str]) -> None:
    hotel = gateway.post("/v1/hotels", hotel_request(name=f"Hotel {abs(hash(str(headers)))}"), headers).headers[
        "location"
    ]
    booking = gateway.post(f"{hotel}/bookings", stay_request(), headers).json
    assert (booking["created_by"], booking["changed_by"]) == (name, name)
    cancelled = gateway.post(booking_path(hotel, booking) + "/actions/cancel", {}, bearer(WEB)).json
    assert (cancelled["created_by"], cancelled["changed_by"]) == (name, "website")
    history = gateway.send("GET", booking_path(hotel, booking) + "/history", None, headers).json["data"]
    assert [event["by"] for event in history] == [name, "website"]


def test_each_client_has_its_own_idempotency_keys(gateway: Gateway) -> None:
    hotel = gateway.post("/v1/hotels", hotel_request({"DBL": 9}, id="shared"), bearer(WEB)).headers["location"]
    key = {"Idempotency-Key": "the-same"}
    first = gateway.post(f"{hotel}/bookings", stay_request(), bearer(WEB) | key)
    other = gateway.post(f"{hotel}/bookings", stay_request(), bearer(DESK) | key)
    assert first.status == 201
    assert "idempotent-replayed" not in other.headers
    assert other.status == 422 or other.json["id"] != first.json["id"]


def test_only_the_health_endpoints_need_no_key(gateway: Gateway) -> None:
    for path in ("/health/live", "/health/ready"):
        assert gateway.get(path).status == 200
    for path in ("/health", "//health/live", "/v1/hotels/health/", "/metrics", "/docs", "/"):
        assert_problem(gateway.get(path), 401, "key_required")
    for path in ("/health/../v1/hotels", "/health/%2e%2e/v1/hotels", "/health/..%2fv1/hotels"):
        assert gateway.get(path).status in (401, 404)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"# nothing but a comment\n\n",
        b"website\n",
        b"website:short\n",
        b"website:" + b"w" * 19,
        b":" + b"w" * 20,
        b"website " + b"w" * 20,
        b"website:" + b"w" * 20 + b"\nnight desk",
        b"website:" + b"w" * 20 + b"\nwebsite:" + b"v" * 20,
        b"website:" + b"w" * 20 + b"\nnight desk:" + b"w" * 20,
    ],
)
def test_an_invalid_key_file_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "keys").write_bytes(text)
    with pytest.raises(InvalidKeysFile):
        ApiKeys.read(tmp_path / "keys")


def test_a_valid_key_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"# our clients\r\nwebsite:{WEB}\r\n\nnight desk:{DESK}:x \n", encoding="utf-8")
    keys = ApiKeys.read(tmp_path / "keys")
    known = [keys.name(f"Bearer {key}") for key in (WEB, f"{DESK}:x", "", DESK)]
    assert known == ["website", "night desk", None, None]


def test_a_space_after_the_colon_is_not_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"website: {WEB}\n", encoding="utf-8")
    assert ApiKeys.read(tmp_path / "keys").name(f"Bearer {WEB}") == "website"


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe:" + b"w" * 20, b"website:short"])
def test_serve_does_not_start_without_a_valid_key_file(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = tmp_path / "keys"
    if content is not None:
        keys.write_bytes(content)
    run = load_run()
    assert run.main(["serve", "--keys", str(keys), "--data", str(tmp_path / "data"), "--port", "0"]) == EXIT_USAGE
    assert "keys" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
