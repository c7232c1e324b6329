"""Posting a webhook: what arrives, what comes of it, and where it does not go. Everyone here lives on loopback."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from importlib.metadata import version

import pytest
from aiohttp import web
from innkeeper.delivery.webhooks import client as posting
from innkeeper.delivery.webhooks.client import WebhookClient
from innkeeper.protocol.messages.refusals import Refused
from standardwebhooks import Webhook
from support.hostile_servers import (
    BODY,
    LOOPS,
    MESSAGE,
    SECRETS,
    HostileServer,
    Run,
    hostile_server,
    http_response,
    never_respond,
    post,
    post_to,
    read_request,
    respond,
)

HASTE_SECONDS = 0.2
FORBIDDEN = "webhooks may not go to the address of the host"
OWN = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0177.1", "127.1", "0.0.0.0", "0"]


@pytest.fixture(params=LOOPS, ids=lambda loop: loop.__module__)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a test in each kind of event loop that we run in."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little patience, so that the tests need little too."""
    for name in ("webhook_seconds_max", "webhook_connect_seconds_max"):
        monkeypatch.setattr(posting, name, HASTE_SECONDS)


def test_a_webhook_arrives_whole_and_signed(run: Run) -> None:
    requests: list[tuple[str, str, dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        requests.append((request.method, request.path_qs, headers, await request.read()))
        return web.Response(text="thank you")

    async def check() -> None:
        app = web.Application()
        app.router.add_route("*", "/hook", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with WebhookClient(to_loopback=True) as poster:
            outcome = await post(poster, f"http://127.0.0.1:{runner.addresses[0][1]}/hook?token=a%2Fb")
        await runner.cleanup()
        assert outcome.delivered
        assert not outcome.gone
        assert (outcome.status, outcome.error, outcome.excerpt) == (200, "", "thank you")
        assert 0 < outcome.seconds < 5

    run(check())
    [(method, path, headers, body)] = requests
    assert (method, path, body) == ("POST", "/hook?token=a%2Fb", BODY)
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["user-agent"] == f"Innkeeper/{version('innkeeper')}"
    assert headers["accept-encoding"] == "identity"
    assert headers["webhook-id"] == MESSAGE
    assert not {"cookie", "authorization", "expect"} & set(headers)
    for secret in SECRETS:
        assert Webhook(secret).verify(body, headers)["data"]["guest"] == "Ana Sousa, Évora"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_an_endpoint_that_says_yes_has_the_message(run: Run, status: int) -> None:
    async def check() -> None:
        outcome, known = await post_to(respond(http_response(status)))
        assert (outcome.delivered, outcome.gone, outcome.status, outcome.error) == (True, False, status, "")
        assert known.received.endswith(BODY)

    run(check())


@pytest.mark.parametrize("status", [101, 300, 304, 400, 401, 404, 409, 410, 413, 429, 500, 502, 503, 599, 999])
def test_an_endpoint_that_says_no_has_it_not(run: Run, status: int) -> None:
    async def check() -> None:
        outcome, _ = await post_to(respond(http_response(status)))
        assert not outcome.delivered
        assert outcome.status == status
        assert outcome.error.startswith(f"answered {status}")
        assert outcome.gone == (status == 410)

    run(check())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(run: Run, status: int) -> None:
    async def check() -> None:
        async with hostile_server(respond(http_response(204))) as elsewhere:
            outcome, _ = await post_to(respond(http_response(status, f"Location: {elsewhere.url()}")))
            assert elsewhere.connections == 0
        assert not outcome.delivered
        assert outcome.error == f"answered {status}: redirects are not followed"

    run(check())


@pytest.mark.parametrize("seconds", [120, 0])
def test_how_long_to_leave_it_in_peace_is_heard(run: Run, seconds: int) -> None:
    async def check() -> None:
        outcome, _ = await post_to(respond(http_response(503, f"Retry-After: {seconds}")))
        assert outcome.retry_after_seconds == seconds

    run(check())


def test_until_when_to_leave_it_in_peace_is_heard(run: Run) -> None:
    async def check() -> None:
        until = formatdate(time.time() + 3_600, usegmt=True)
        outcome, _ = await post_to(respond(http_response(503, f"Retry-After: {until}")))
        assert outcome.retry_after_seconds is not None
        assert 3_500 <= outcome.retry_after_seconds <= 3_601

    run(check())


@pytest.mark.parametrize("header", ["Retry-After: soon", "Retry-After: -5", "Retry-After:", "X-Other: 1"])
def test_nonsense_about_peace_is_not_heard(run: Run, header: str) -> None:
    async def check() -> None:
        outcome, _ = await post_to(respond(http_response(503, header)))
        assert (outcome.status, outcome.retry_after_seconds) == (503, None)

    run(check())


def test_of_an_answer_only_the_beginning_is_kept(run: Run) -> None:
    async def check() -> None:
        outcome, _ = await post_to(respond(http_response(500, body=b"x" * 5_000)))
        assert outcome.excerpt == "x" * 1_024

    run(check())


def test_where_nobody_listens_it_is_said(run: Run) -> None:
    async def check() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            async with WebhookClient(to_loopback=True) as poster:
                outcome = await post(poster, f"http://127.0.0.1:{closed.getsockname()[1]}/")
        assert (outcome.status, outcome.error) == (None, "the host refuses connections")

    run(check())


def test_a_name_that_nobody_knows_is_said_so(run: Run) -> None:
    def unknown(name: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def check() -> None:
        async with WebhookClient(to_loopback=True, lookup=unknown) as poster:
            outcome = await post(poster, "http://nobody.example/")
        assert (outcome.status, outcome.error) == (None, "the host's name cannot be resolved")

    run(check())


@pytest.mark.usefixtures("hasty")
def test_a_name_server_that_does_not_answer_is_not_waited_for(run: Run) -> None:
    over = threading.Event()

    def slow(name: str) -> Sequence[str]:
        over.wait(60)
        return ["127.0.0.1"]

    async def check() -> None:
        async with WebhookClient(to_loopback=True, lookup=slow) as poster:
            outcome = await post(poster, "http://slow.example/")
            over.set()
        assert outcome.status is None
        assert outcome.error in (
            f"no connection within {HASTE_SECONDS} seconds",
            f"no answer within {HASTE_SECONDS} seconds",
        )
        assert outcome.seconds < 30

    run(check())


def test_each_connection_asks_for_the_name_once_and_goes_where_that_says(run: Run) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    asked: list[str] = []

    def changing(name: str) -> Sequence[str]:
        asked.append(name)
        return next(answers)

    async def check() -> None:
        closing = respond(http_response(204, "Connection: close"))
        async with WebhookClient(to_loopback=True, lookup=changing) as poster, hostile_server(closing) as known:
            first = await post(poster, known.url(host="hook.example"))
            assert asked == ["hook.example"]
            second = await post(poster, known.url(host="hook.example"))
            assert known.connections == 1
        assert first.delivered
        assert (second.status, second.error) == (None, FORBIDDEN)
        assert b"\r\nHost: hook.example:" in known.received

    run(check())


@pytest.mark.parametrize(
    "answer_of_dns", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "93.184.215.14"], ["::ffff:7f00:1"]]
)
def test_a_name_that_leads_here_is_not_followed(run: Run, answer_of_dns: list[str]) -> None:
    async def check() -> None:
        async with WebhookClient(lookup=lambda name: answer_of_dns) as poster, hostile_server(never_respond) as known:
            outcome = await post(poster, known.url(host="hook.example"))
            await asyncio.sleep(0.01)
            assert known.connections == 0
        assert (outcome.status, outcome.error) == (None, FORBIDDEN)

    run(check())


@pytest.mark.parametrize("host", OWN)
def test_a_url_that_leads_here_is_not_followed(run: Run, host: str) -> None:
    async def check() -> None:
        async with WebhookClient() as poster, hostile_server(never_respond) as known:
            outcome = await post(poster, known.url(host=host))
            await asyncio.sleep(0.01)
            assert known.connections == 0
        assert outcome.status is None
        assert outcome.error.startswith("the URL is refused: ")

    run(check())


def test_no_cookie_is_kept(run: Run) -> None:
    async def check() -> None:
        async with (
            WebhookClient(to_loopback=True) as poster,
            hostile_server(
                respond(http_response(200, "Set-Cookie: seen=before; Path=/", "Connection: close"))
            ) as known,
        ):
            await post(poster, known.url(host="localhost"))
            await post(poster, known.url(host="localhost"))
        assert known.connections == 2
        assert b"cookie" not in known.received.lower()

    run(check())


def test_no_proxy_of_the_environment_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with (
            hostile_server(respond(http_response(502))) as proxy,
            hostile_server(respond(http_response(204))) as known,
        ):
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url())
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            async with WebhookClient(to_loopback=True) as poster:
                assert (await post(poster, known.url())).delivered
            assert proxy.connections == 0

    run(check())


def test_a_burst_goes_over_one_connection(run: Run) -> None:
    async def patient(known: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(known, reader)
            writer.write(http_response(200, body=b"ok"))

    async def check() -> None:
        async with WebhookClient(to_loopback=True) as poster, hostile_server(patient) as known:
            for _ in range(5):
                assert (await post(poster, known.url())).delivered
            assert known.connections == 1

    run(check())


def test_many_are_posted_at_once_and_the_slow_hold_up_nobody(run: Run) -> None:
    async def check() -> None:
        async with (
            WebhookClient(to_loopback=True) as poster,
            hostile_server(never_respond) as slow,
            hostile_server(respond(http_response(204))) as quick,
        ):
            waiting = [asyncio.create_task(post(poster, slow.url())) for _ in range(120)]
            await asyncio.sleep(0)
            assert (await post(poster, quick.url())).delivered
            assert not any(task.done() for task in waiting)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    run(check())


def test_what_is_posted_after_the_close_fails_without_harm(run: Run) -> None:
    async def check() -> None:
        async with hostile_server(respond(http_response(204))) as known:
            async with WebhookClient(to_loopback=True) as poster:
                pass
            outcome = await post(poster, known.url())
            assert known.connections == 0
        assert (outcome.status, outcome.delivered) == (None, False)

    run(check())


def test_a_secret_that_is_none_is_our_own_fault(run: Run) -> None:
    async def check() -> None:
        async with WebhookClient(to_loopback=True) as poster:
            with pytest.raises(ValueError, match="prefix"):
                await poster.post("http://127.0.0.1/", ["nope"], MESSAGE, 0, BODY)

    run(check())


def test_a_url_is_checked_for_where_this_poster_may_go(run: Run) -> None:
    async def check() -> None:
        async with WebhookClient() as poster, WebhookClient(to_loopback=True) as demo:
            poster.check("https://example.com/hook")
            demo.check("http://127.0.0.1/hook")
            for refusing, url in ((poster, "http://127.0.0.1/hook"), (demo, "http://8.8.8.8/hook")):
                with pytest.raises(Refused, match="address"):
                    refusing.check(url)

    run(check())
