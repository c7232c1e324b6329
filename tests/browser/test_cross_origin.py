"""In a real browser, a page of another site can neither change nor read anything on the server, whatever its host is;
the front desk page works under every name of the server."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from innkeeper.http.host_names import network
from innkeeper.http.middleware import HostPolicy
from innkeeper.protocol.values import limits
from support.browser import Page, open_page
from support.foreign_site import foreign_site
from support.gateway import ANSWER_SECONDS_MAX, Gateway, booking_path
from support.gateway import gateway as running_gateway
from support.paths import ROOT
from support.tls_proxy import tls_proxy
from support.waiting import wait_until

MAP_TEST_NAMES = "--host-resolver-rules=MAP *.test 127.0.0.1"
GUEST = "Ana Sousa"
ADDRESSES = ("127.0.0.1", "localhost", "front.test")
FOREIGN_HOSTS = {"127.0.0.1": "stranger.test", "localhost": "127.0.0.1", "front.test": "sister.test"}
FETCH = """
    (async () => {{
        const response = await fetch({url}, {options}).catch(error => error);
        return response instanceof Error ? "blocked" : response.type === "opaque" ? "opaque" : `${{response.status}}`;
    }})()
"""
_frames = count(1)
EMBED = """
    new Promise(done => {{
        const embedded = Object.assign(document.createElement({element}), {fields});
        embedded.onload = () => done("loaded");
        embedded.onerror = () => done("blocked");
        document.documentElement.append(embedded);
    }})
"""
SUBMIT_FORM = """
    document.documentElement.append(Object.assign(document.createElement("iframe"), {{name: {frame}}}));
    form = Object.assign(
        document.createElement("form"), {{method: "post", action: {url}, enctype: {kind}, target: {frame}}});
    for (const [name, value] of {fields})
        form.append(Object.assign(document.createElement("input"), {{name, value}}));
    document.documentElement.append(form);
    form.submit();
"""
LISTEN = """
    new Promise(done => {{
        const stream = new EventSource({url});
        stream.onopen = () => done("open");
        stream.onmessage = event => done(event.data);
        stream.onerror = () => done(stream.readyState === EventSource.CLOSED ? "blocked" : "again");
    }})
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server that also accepts the names front.test and secure.test."""
    hosts = HostPolicy(["front.test", "secure.test"], [network("127.0.0.1")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "heartbeat_seconds", 0.5)  # a closed listener is noticed at the next heartbeat
        with running_gateway(tmp_path_factory.mktemp("gateway"), hosts=hosts) as opened:
            yield opened


@pytest.fixture(scope="module")
def hotel(gateway: Gateway) -> str:
    """A hotel with a booking; its path."""
    hotel = gateway.open_hotel({"DBL": 30}, name="Hotel do Mar")
    gateway.book(hotel, 0, 3, guest={"name": GUEST})
    return hotel


@pytest.fixture(autouse=True)
def billing_resumed(gateway: Gateway) -> None:
    """Resume billing, in case an earlier test has paused it."""
    assert gateway.post("/v1/subscribers/billing/actions/resume").status == 200


class BrowserClient:
    """Sends requests from a page in a browser to a server."""

    def __init__(self, gateway: Gateway, page: Page, target: str) -> None:
        self._gateway = gateway
        self._page = page
        self._target = target

    def fetch(self, path: str, **options: Any) -> str:
        """The result of `fetch`: a status, `opaque` for a response that the page cannot read, or `blocked`."""
        return str(self._page.evaluate(FETCH.format(url=self._url(path), options=json.dumps(options))))

    def submit(self, path: str, kind: str, *fields: tuple[str, str]) -> None:
        """Submit a form into a new frame, and wait until the server has answered."""
        arguments = {"url": self._target + path, "kind": kind, "fields": fields, "frame": f"frame-{next(_frames)}"}
        with self._wait_for_answer():
            self._page.evaluate(SUBMIT_FORM.format(**{name: json.dumps(value) for name, value in arguments.items()}))

    def embed(self, path: str, element: str, attribute: str = "src", **more: str) -> str:
        """`loaded` or `blocked`."""
        fields = json.dumps({attribute: f"{self._target}{path}", **more})
        return str(self._page.evaluate(EMBED.format(element=json.dumps(element), fields=fields)))

    def listen(self, path: str) -> str:
        """The result of an EventSource: `open`, or `blocked` where it does not reconnect."""
        return str(self._page.evaluate(LISTEN.format(url=self._url(path))))

    def beacon(self, path: str, body: str | None) -> None:
        """Send a beacon, and wait until the server has answered."""
        with self._wait_for_answer():
            self._page.evaluate(f"navigator.sendBeacon({self._url(path)}, {json.dumps(body)})")

    @contextmanager
    def _wait_for_answer(self) -> Iterator[None]:
        def posts() -> float:
            counts = re.findall(
                r'^innkeeper_http_request_seconds_count{method="POST".*} (.*)$', metrics(), re.MULTILINE
            )
            return sum(map(float, counts))

        def metrics() -> str:
            return self._gateway.get("/metrics").body.decode()

        before = posts()
        yield
        wait_until(lambda: posts() > before, ANSWER_SECONDS_MAX)

    def _url(self, path: str) -> str:
        return json.dumps(self._target + path)


@pytest.fixture(scope="module", params=ADDRESSES)
def foreign_page(
    request: pytest.FixtureRequest, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserClient]:
    """A page at the host in FOREIGN_HOSTS whose requests go to the server under each of its names."""
    target = f"http://{request.param}:{gateway.port}"
    with foreign_site() as port:
        url = f"http://{FOREIGN_HOSTS[request.param]}:{port}/"
        with open_page(url, tmp_path_factory.mktemp("browser") / "profile", MAP_TEST_NAMES) as page:
            page.wait_until("document.title === 'Other site'")
            yield BrowserClient(gateway, page, target)


@pytest.fixture(scope="module")
def other_port_page(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserClient]:
    """A page of the same host on another port: the same site, but another origin."""
    with (
        foreign_site() as port,
        open_page(f"http://127.0.0.1:{port}/", tmp_path_factory.mktemp("browser") / "profile") as page,
    ):
        page.wait_until("document.title === 'Other site'")
        yield BrowserClient(gateway, page, f"http://127.0.0.1:{gateway.port}")


@contextmanager
def unchanged(gateway: Gateway, hotel: str) -> Iterator[None]:
    """The requests inside change nothing."""

    def state() -> tuple[Any, ...]:
        paused = [each["paused"] for each in gateway.get("/v1/subscribers").json["data"]]
        return gateway.get(hotel).json, gateway.list_all("/v1/hotels"), gateway.list_all("/v1/webhooks"), paused

    before = state()
    yield
    assert state() == before


FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
BODIES = ({}, {"body": "{}"}, {"body": '{"to": null}', "headers": {"Content-Type": "text/plain"}})


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_of_another_site_changes_nothing(
    gateway: Gateway, hotel: str, foreign_page: BrowserClient, kind: str
) -> None:
    with unchanged(gateway, hotel):
        foreign_page.submit(f"{hotel}/night-audit", kind)
        foreign_page.submit("/v1/subscribers/billing/actions/pause", kind, ('{"a": "', '"}'))
        body = '{"url": "http://127.0.0.1:9/", "events": ["innkeeper.*"], "secret": "'
        foreign_page.submit("/v1/webhooks", kind, (body, '"}'))


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin"])
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_a_script_of_another_site_changes_nothing(
    gateway: Gateway, hotel: str, foreign_page: BrowserClient, mode: str, body: dict[str, Any]
) -> None:
    with unchanged(gateway, hotel):
        for path in (f"{hotel}/night-audit", "/v1/subscribers/billing/actions/pause", "/v1/webhooks"):
            assert foreign_page.fetch(path, method="POST", mode=mode, **body) in ("blocked", "opaque")


def test_a_script_of_another_site_cannot_send_json_or_other_methods(
    gateway: Gateway, hotel: str, foreign_page: BrowserClient
) -> None:
    json_body = {"headers": {"Content-Type": "application/json"}, "body": "{}"}
    with unchanged(gateway, hotel):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert foreign_page.fetch(f"{hotel}/night-audit", method=method, mode="cors", **json_body) == "blocked"


def test_a_beacon_of_another_site_changes_nothing(gateway: Gateway, hotel: str, foreign_page: BrowserClient) -> None:
    with unchanged(gateway, hotel):
        foreign_page.beacon(f"{hotel}/night-audit", None)
        foreign_page.beacon("/v1/subscribers/billing/actions/pause", "{}")


def test_a_page_on_another_port_of_the_same_host_changes_nothing(
    gateway: Gateway, hotel: str, other_port_page: BrowserClient
) -> None:
    with unchanged(gateway, hotel):
        other_port_page.submit(f"{hotel}/night-audit", "text/plain")
        other_port_page.fetch("/v1/subscribers/billing/actions/pause", method="POST", mode="no-cors")
        other_port_page.beacon(f"{hotel}/night-audit", None)


def test_a_script_of_another_origin_reads_nothing(
    hotel: str, foreign_page: BrowserClient, other_port_page: BrowserClient
) -> None:
    for page in (foreign_page, other_port_page):
        for mode in ("cors", "no-cors", "same-origin"):
            for path in (f"{hotel}/bookings", "/v1/events", "/", "/metrics", "/openapi.json"):
                assert page.fetch(path, mode=mode) == "blocked", (mode, path)


def test_another_site_cannot_embed_any_resource(gateway: Gateway, hotel: str, foreign_page: BrowserClient) -> None:
    script = next(part.name for part in ROOT.glob("http/pages/*.js"))
    booking = gateway.book(hotel, 5)
    gateway.post(f"{booking_path(hotel, booking)}/folio/charges", _charge())
    gateway.set_billing(hotel)
    invoice = gateway.post(f"{booking_path(hotel, booking)}/invoices", {}).headers["location"]
    for path in (f"/pages/{script}", f"{hotel}/bookings", f"{invoice}?format=pdf", "/"):
        assert foreign_page.embed(path, "img") == "blocked", path
        assert foreign_page.embed(path, "script") == "blocked", path
        assert foreign_page.embed(path, "script", type="module") == "blocked", path
    assert foreign_page.embed("/pages/front_desk.css", "link", "href", rel="stylesheet") == "blocked"


def _charge() -> dict[str, Any]:
    return {"charge": "minibar", "text": "Water", "amount": {"amount": "3.00", "currency": "EUR"}}


def test_another_site_cannot_read_the_live_stream(gateway: Gateway, foreign_page: BrowserClient) -> None:
    assert foreign_page.listen("/v1/events/stream?after=0") == "blocked"
    assert foreign_page.fetch("/v1/events/stream?after=0", mode="no-cors") == "blocked"
    wait_until(lambda: gateway.stream_listeners() == 0, ANSWER_SECONDS_MAX)


def test_dns_rebinding_reads_and_changes_nothing(gateway: Gateway, hotel: str, tmp_path: Path) -> None:
    url = f"http://rebound.test:{gateway.port}{hotel}/bookings"
    with unchanged(gateway, hotel), open_page(url, tmp_path / "profile", MAP_TEST_NAMES) as page:
        page.wait_until("location.hostname === 'rebound.test' && document.readyState === 'complete'")
        page.wait_until("document.body?.textContent.includes('{')")
        assert GUEST not in page.html()
        client = BrowserClient(gateway, page, f"http://rebound.test:{gateway.port}")
        assert client.fetch(f"{hotel}/bookings") == "421"
        assert (
            client.fetch(f"{hotel}/bookings", headers={"X-Host": "localhost", "X-Original-Host": "localhost"}) == "421"
        )
        assert client.fetch(f"{hotel}/night-audit", method="POST") == "421"
        assert client.listen("/v1/events/stream?after=0") == "blocked"


@contextmanager
def front_desk_page(url: str, profile: Path, *options: str) -> Iterator[Page]:
    """The front desk page in a browser, once it is live."""
    with open_page(url, profile, MAP_TEST_NAMES, *options) as page:
        page.wait_until("document.getElementById('updated')?.textContent.startsWith('Live')")
        yield page


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_front_desk_page_is_live_under_every_name_of_the_server(
    gateway: Gateway, hotel: str, tmp_path: Path, address: str
) -> None:
    with front_desk_page(f"http://{address}:{gateway.port}/", tmp_path / "profile") as page:
        assert GUEST in page.html()
        client = BrowserClient(gateway, page, f"http://{address}:{gateway.port}")
        json_body = {"headers": {"Content-Type": "application/json"}, "body": "{}"}
        assert client.fetch("/v1/subscribers/billing/actions/resume", method="POST") == "200"
        assert client.fetch("/v1/subscribers/billing/actions/resume", method="POST", **json_body) == "200"
        assert client.fetch("/v1/subscribers/billing/actions/resume", method="POST", body="{}") == "415"


def test_the_front_desk_page_is_live_behind_a_tls_proxy(gateway: Gateway, hotel: str, tmp_path: Path) -> None:
    with (
        tls_proxy(gateway.port, tmp_path) as port,
        front_desk_page(f"https://secure.test:{port}/", tmp_path / "profile", "--ignore-certificate-errors") as page,
    ):
        assert GUEST in page.html()
        client = BrowserClient(gateway, page, f"https://secure.test:{port}")
        assert client.fetch("/v1/subscribers/billing/actions/resume", method="POST") == "200"


def test_another_site_changes_nothing_through_a_tls_proxy(gateway: Gateway, hotel: str, tmp_path: Path) -> None:
    with tls_proxy(gateway.port, tmp_path) as port, foreign_site() as foreign_port, unchanged(gateway, hotel):
        url = f"http://stranger.test:{foreign_port}/"
        with open_page(url, tmp_path / "profile", MAP_TEST_NAMES, "--ignore-certificate-errors") as page:
            page.wait_until("document.title === 'Other site'")
            client = BrowserClient(gateway, page, f"https://secure.test:{port}")
            client.submit(f"{hotel}/night-audit", "text/plain")
            client.fetch("/v1/subscribers/billing/actions/pause", method="POST", mode="no-cors")
            assert client.fetch(f"{hotel}/bookings", mode="no-cors") == "blocked"
