"""A stranger's page in a real browser can neither act on the server nor read from it, whatever name it has; and the
front desk's own page works under every name of the server."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from innkeeper.http.host_names import network
from innkeeper.http.origin_check import HostPolicy
from innkeeper.protocol.values import limits
from support.browser import Page, open_page
from support.foreign_site import foreign_site
from support.gateway import ANSWER_SECONDS_MAX, Gateway, booking_path, gateway
from support.paths import ROOT
from support.tls_proxy import tls_proxy
from support.waiting import wait_until

MAPPED = "--host-resolver-rules=MAP *.test 127.0.0.1"
GUEST = "Ana Sousa"
ADDRESSES = ("127.0.0.1", "localhost", "front.test")
STRANGERS = {"127.0.0.1": "stranger.test", "localhost": "127.0.0.1", "front.test": "sister.test"}
SENT = """
    (async () => {{
        const asked = await fetch({url}, {options}).catch(failed => failed);
        return asked instanceof Error ? "blocked" : asked.type === "opaque" ? "opaque" : `${{asked.status}}`;
    }})()
"""
_frames = count(1)
EMBEDDED = """
    new Promise(done => {{
        const embedded = Object.assign(document.createElement({element}), {fields});
        embedded.onload = () => done("loaded");
        embedded.onerror = () => done("blocked");
        document.documentElement.append(embedded);
    }})
"""
FORM_SENT = """
    document.documentElement.append(Object.assign(document.createElement("iframe"), {{name: {frame}}}));
    form = Object.assign(
        document.createElement("form"), {{method: "post", action: {url}, enctype: {kind}, target: {frame}}});
    for (const [name, value] of {fields})
        form.append(Object.assign(document.createElement("input"), {{name, value}}));
    document.documentElement.append(form);
    form.submit();
"""
LISTENED = """
    new Promise(done => {{
        const stream = new EventSource({url});
        stream.onopen = () => done("open");
        stream.onmessage = event => done(event.data);
        stream.onerror = () => done(stream.readyState === EventSource.CLOSED ? "blocked" : "again");
    }})
"""


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server that is also known as front.test."""
    hosts = HostPolicy(["front.test", "secure.test"], [network("127.0.0.1")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "heartbeat_seconds", 0.5)  # when it is noticed that a listener has gone
        with gateway(tmp_path_factory.mktemp("front"), hosts=hosts) as opened:
            yield opened


@pytest.fixture(scope="module")
def hotel(front: Gateway) -> str:
    """A hotel with a guest; its path."""
    hotel = front.open_hotel({"DBL": 30}, name="Hotel do Mar")
    front.book(hotel, 0, 3, guest={"name": GUEST})
    return hotel


@pytest.fixture(autouse=True)
def resumed(front: Gateway) -> None:
    """Whatever an earlier test has let happen, billing is not paused."""
    assert front.post("/v1/subscribers/billing/actions/resume").status == 200


class Attack:
    """A stranger's page, and the server that it aims at."""

    def __init__(self, front: Gateway, page: Page, target: str) -> None:
        self._front = front
        self._page = page
        self._target = target

    def fetch(self, path: str, **options: Any) -> str:
        """What came of `fetch`: a status, `opaque` for an answer that the page may not see, or `blocked`."""
        return str(self._page.evaluate(SENT.format(url=self._url(path), options=json.dumps(options))))

    def submit(self, path: str, kind: str, *fields: tuple[str, str]) -> None:
        """Send a form into a frame of its own, and wait until the server has answered."""
        given = {"url": self._target + path, "kind": kind, "fields": fields, "frame": f"frame-{next(_frames)}"}
        with self._answered():
            self._page.evaluate(FORM_SENT.format(**{name: json.dumps(value) for name, value in given.items()}))

    def embed(self, path: str, element: str, attribute: str = "src", **more: str) -> str:
        """`loaded` or `blocked`."""
        fields = json.dumps({attribute: f"{self._target}{path}", **more})
        return str(self._page.evaluate(EMBEDDED.format(element=json.dumps(element), fields=fields)))

    def listen(self, path: str) -> str:
        """What came of an EventSource: `open`, or `blocked` for good."""
        return str(self._page.evaluate(LISTENED.format(url=self._url(path))))

    def beacon(self, path: str, body: str | None) -> None:
        """Send a beacon, and wait until the server has answered."""
        with self._answered():
            self._page.evaluate(f"navigator.sendBeacon({self._url(path)}, {json.dumps(body)})")

    @contextmanager
    def _answered(self) -> Iterator[None]:
        def posts() -> float:
            counts = re.findall(
                r'^innkeeper_http_request_seconds_count{method="POST".*} (.*)$', metrics(), re.MULTILINE
            )
            return sum(map(float, counts))

        def metrics() -> str:
            return self._front.get("/metrics").body.decode()

        before = posts()
        yield
        wait_until(lambda: posts() > before, ANSWER_SECONDS_MAX)

    def _url(self, path: str) -> str:
        return json.dumps(self._target + path)


@pytest.fixture(scope="module", params=ADDRESSES)
def attack(
    request: pytest.FixtureRequest, front: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Attack]:
    """A page of another site (of another port, for `localhost`) aims at the server under each of its names."""
    target = f"http://{request.param}:{front.port}"
    with foreign_site() as port:
        url = f"http://{STRANGERS[request.param]}:{port}/"
        with open_page(url, tmp_path_factory.mktemp("browser") / "profile", MAPPED) as page:
            page.wait_until("document.title === 'Other site'")
            yield Attack(front, page, target)


@pytest.fixture(scope="module")
def neighbour(front: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    """A page of the same host on another port: the same site, and another origin."""
    with (
        foreign_site() as port,
        open_page(f"http://127.0.0.1:{port}/", tmp_path_factory.mktemp("browser") / "profile") as page,
    ):
        page.wait_until("document.title === 'Other site'")
        yield Attack(front, page, f"http://127.0.0.1:{front.port}")


@contextmanager
def unharmed(front: Gateway, hotel: str) -> Iterator[None]:
    """What is tried in here changes nothing."""

    def state() -> tuple[Any, ...]:
        paused = [one["paused"] for one in front.get("/v1/subscribers").json["data"]]
        return front.get(hotel).json, front.list_all("/v1/hotels"), front.list_all("/v1/webhooks"), paused

    before = state()
    yield
    assert state() == before


FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data")
BODIES = ({}, {"body": "{}"}, {"body": '{"to": null}', "headers": {"Content-Type": "text/plain"}})


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_of_a_stranger_changes_nothing(front: Gateway, hotel: str, attack: Attack, kind: str) -> None:
    with unharmed(front, hotel):
        attack.submit(f"{hotel}/night-audit", kind)
        attack.submit("/v1/subscribers/billing/actions/pause", kind, ('{"a": "', '"}'))
        plan = '{"url": "http://127.0.0.1:9/", "events": ["innkeeper.*"], "secret": "'
        attack.submit("/v1/webhooks", kind, (plan, '"}'))


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin"])
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_a_script_of_a_stranger_changes_nothing(
    front: Gateway, hotel: str, attack: Attack, mode: str, body: dict[str, Any]
) -> None:
    with unharmed(front, hotel):
        for path in (f"{hotel}/night-audit", "/v1/subscribers/billing/actions/pause", "/v1/webhooks"):
            assert attack.fetch(path, method="POST", mode=mode, **body) in ("blocked", "opaque")


def test_a_script_cannot_send_json_or_another_method(front: Gateway, hotel: str, attack: Attack) -> None:
    json_body = {"headers": {"Content-Type": "application/json"}, "body": "{}"}
    with unharmed(front, hotel):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert attack.fetch(f"{hotel}/night-audit", method=method, mode="cors", **json_body) == "blocked"


def test_a_beacon_of_a_stranger_changes_nothing(front: Gateway, hotel: str, attack: Attack) -> None:
    with unharmed(front, hotel):
        attack.beacon(f"{hotel}/night-audit", None)
        attack.beacon("/v1/subscribers/billing/actions/pause", "{}")


def test_a_page_on_another_port_of_the_same_host_changes_nothing(front: Gateway, hotel: str, neighbour: Attack) -> None:
    with unharmed(front, hotel):
        neighbour.submit(f"{hotel}/night-audit", "text/plain")
        neighbour.fetch("/v1/subscribers/billing/actions/pause", method="POST", mode="no-cors")
        neighbour.beacon(f"{hotel}/night-audit", None)


def test_a_script_of_a_stranger_reads_nothing(hotel: str, attack: Attack, neighbour: Attack) -> None:
    for page in (attack, neighbour):
        for mode in ("cors", "no-cors", "same-origin"):
            for path in (f"{hotel}/bookings", "/v1/events", "/", "/metrics", "/openapi.json"):
                assert page.fetch(path, mode=mode) == "blocked", (mode, path)


def test_nothing_of_the_server_can_be_embedded(front: Gateway, hotel: str, attack: Attack) -> None:
    script = next(part.name for part in ROOT.glob("http/pages/*.js"))
    booking = front.book(hotel, 5)
    front.post(f"{booking_path(hotel, booking)}/folio/charges", _charge())
    invoice = front.post(f"{booking_path(hotel, booking)}/invoices", {}).headers["location"]
    for path in (f"/pages/{script}", f"{hotel}/bookings", f"{invoice}?format=pdf", "/"):
        assert attack.embed(path, "img") == "blocked", path
        assert attack.embed(path, "script") == "blocked", path
        assert attack.embed(path, "script", type="module") == "blocked", path
    assert attack.embed("/pages/front_desk.css", "link", "href", rel="stylesheet") == "blocked"


def _charge() -> dict[str, Any]:
    return {"charge": "minibar", "text": "Water", "amount": {"amount": "3.00", "currency": "EUR"}}


def test_a_stranger_cannot_listen(front: Gateway, attack: Attack) -> None:
    assert attack.listen("/v1/events/stream?after=0") == "blocked"
    assert attack.fetch("/v1/events/stream?after=0", mode="no-cors") == "blocked"
    wait_until(lambda: front.stream_listeners() == 0, ANSWER_SECONDS_MAX)


def test_a_name_that_a_stranger_points_at_the_server_shows_nothing(front: Gateway, hotel: str, tmp_path: Path) -> None:
    url = f"http://rebound.test:{front.port}{hotel}/bookings"
    with unharmed(front, hotel), open_page(url, tmp_path / "profile", MAPPED) as page:
        page.wait_until("location.hostname === 'rebound.test' && document.readyState === 'complete'")
        page.wait_until("document.body?.textContent.includes('{')")
        assert GUEST not in page.html()
        own = Attack(front, page, f"http://rebound.test:{front.port}")
        assert own.fetch(f"{hotel}/bookings") == "421"
        assert own.fetch(f"{hotel}/bookings", headers={"X-Host": "localhost", "X-Original-Host": "localhost"}) == "421"
        assert own.fetch(f"{hotel}/night-audit", method="POST") == "421"
        assert own.listen("/v1/events/stream?after=0") == "blocked"


@contextmanager
def shown(url: str, profile: Path, *options: str) -> Iterator[Page]:
    """The front desk in a browser, after its first look."""
    with open_page(url, profile, MAPPED, *options) as page:
        page.wait_until("document.getElementById('updated')?.textContent.startsWith('Live')")
        yield page


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_front_desk_is_live_under_every_name_of_the_server(
    front: Gateway, hotel: str, tmp_path: Path, address: str
) -> None:
    with shown(f"http://{address}:{front.port}/", tmp_path / "profile") as page:
        assert GUEST in page.html()
        acted = Attack(front, page, f"http://{address}:{front.port}")
        json_body = {"headers": {"Content-Type": "application/json"}, "body": "{}"}
        assert acted.fetch("/v1/subscribers/billing/actions/resume", method="POST") == "200"
        assert acted.fetch("/v1/subscribers/billing/actions/resume", method="POST", **json_body) == "200"
        assert acted.fetch("/v1/subscribers/billing/actions/resume", method="POST", body="{}") == "415"


def test_the_front_desk_is_live_behind_a_proxy_that_ends_tls(front: Gateway, hotel: str, tmp_path: Path) -> None:
    with (
        tls_proxy(front.port, tmp_path) as port,
        shown(f"https://secure.test:{port}/", tmp_path / "profile", "--ignore-certificate-errors") as page,
    ):
        assert GUEST in page.html()
        acted = Attack(front, page, f"https://secure.test:{port}")
        assert acted.fetch("/v1/subscribers/billing/actions/resume", method="POST") == "200"


def test_a_stranger_changes_nothing_through_a_proxy_either(front: Gateway, hotel: str, tmp_path: Path) -> None:
    with tls_proxy(front.port, tmp_path) as port, foreign_site() as other, unharmed(front, hotel):
        url = f"http://stranger.test:{other}/"
        with open_page(url, tmp_path / "profile", MAPPED, "--ignore-certificate-errors") as page:
            page.wait_until("document.title === 'Other site'")
            attack = Attack(front, page, f"https://secure.test:{port}")
            attack.submit(f"{hotel}/night-audit", "text/plain")
            attack.fetch("/v1/subscribers/billing/actions/pause", method="POST", mode="no-cors")
            assert attack.fetch(f"{hotel}/bookings", mode="no-cors") == "blocked"
