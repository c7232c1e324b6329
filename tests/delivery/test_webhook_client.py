"""The webhook client: what it sends, the outcome of each response, and the addresses that it refuses. All servers are
on loopback."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from email.utils import formatdate
from importlib.metadata import version

import pytest
from aiohttp import web
from innkeeper.delivery.webhooks import client as client_module
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

SHORT_SECONDS = 0.2
FORBIDDEN = "webhooks may not go to the address of the host"
OWN_HOSTS = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0177.1", "127.1", "0.0.0.0", "0"]


@pytest.fixture(params=LOOPS, ids=lambda loop: loop.__module__)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a coroutine in each kind of event loop that Innkeeper supports."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short timeouts, so that the tests are short too."""
    for name in ("webhook_seconds_max", "webhook_connect_seconds_max"):
        monkeypatch.setattr(client_module, name, SHORT_SECONDS)


def test_a_webhook_arrives_complete_and_signed(run: Run) -> None:
    requests: list[tuple[str, str, dict[str, str], bytes]] = []

    async def receive(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        requests.append((request.method, request.path_qs, headers, await request.read()))
        return web.Response(text="thank you")

    async def check() -> None:
        app = web.Application()
        app.router.add_route("*", "/hook", receive)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        async with WebhookClient(to_loopback=True) as client:
            outcome = await post(client, f"http://127.0.0.1:{runner.addresses[0][1]}/hook?token=a%2Fb")
        await runner.cleanup()
        assert outcome.delivered
        assert not outcome.gone
        assert (outcome.status, outcome.error, outcome.excerpt) == (200, "", "thank you")
        assert 0 < outcome.seconds < 5

    run(check())
    [(method, path, headers, body)] = requests
    assert (method, path, body) == ("POST", "/hook?token=a%2Fb", BODY)
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == f"Innkeeper/{version('innkeeper')}"
    assert headers["accept-encoding"] == "identity"
    assert headers["webhook-id"] == MESSAGE
    assert not {"cookie", "authorization", "expect"} & set(headers)
    for secret in SECRETS:
        assert Webhook(secret).verify(body, headers)["data"]["guest"] == "Ana Sousa, Évora"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_status_means_delivered(run: Run, status: int) -> None:
    async def check() -> None:
        outcome, server = await post_to(respond(http_response(status)))
        assert (outcome.delivered, outcome.gone, outcome.status, outcome.error) == (True, False, status, "")
        assert server.received.endswith(BODY)

    run(check())


@pytest.mark.parametrize("status", [101, 300, 304, 400, 401, 404, 409, 410, 413, 429, 500, 502, 503, 599, 999])
def test_any_other_status_means_not_delivered(run: Run, status: int) -> None:
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
        async with hostile_server(respond(http_response(204))) as target:
            outcome, _ = await post_to(respond(http_response(status, f"Location: {target.url()}")))
            assert target.connections == 0
        assert not outcome.delivered
        assert outcome.error == f"answered {status}: redirects are not followed"

    run(check())


@pytest.mark.parametrize("seconds", [120, 0])
def test_a_retry_after_in_seconds_is_reported(run: Run, seconds: int) -> None:
    async def check() -> None:
        outcome, _ = await post_to(respond(http_response(503, f"Retry-After: {seconds}")))
        assert outcome.retry_after_seconds == seconds

    run(check())


def test_a_retry_after_date_is_reported_in_seconds(run: Run) -> None:
    async def check() -> None:
        until = formatdate(time.time() + 3_600, usegmt=True)
        outcome, _ = await post_to(respond(http_response(503, f"Retry-After: {until}")))
        assert outcome.retry_after_seconds is not None
        assert 3_500 <= outcome.retry_after_seconds <= 3_601

    run(check())


@pytest.mark.parametrize("header", ["Retry-After: soon", "Retry-After: -5", "Retry-After:", "X-Other: 1"])
def test_a_malformed_or_missing_retry_after_is_ignored(run: Run, header: str) -> None:
    async def check() -> None:
        outcome, _ = await post_to(respond(http_response(503, header)))
        assert (outcome.status, outcome.retry_after_seconds) == (503, None)

    run(check())


def test_only_the_beginning_of_a_response_body_is_kept(run: Run) -> None:
    async def check() -> None:
        outcome, _ = await post_to(respond(http_response(500, body=b"x" * 5_000)))
        assert outcome.excerpt == "x" * 1_024

    run(check())


def test_a_refused_connection_is_reported(run: Run) -> None:
    async def check() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            async with WebhookClient(to_loopback=True) as client:
                outcome = await post(client, f"http://127.0.0.1:{closed.getsockname()[1]}/")
        assert (outcome.status, outcome.error) == (None, "the host refuses connections")

    run(check())


def test_an_unknown_host_name_is_reported(run: Run) -> None:
    def unknown(name: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def check() -> None:
        async with WebhookClient(to_loopback=True, lookup=unknown) as client:
            outcome = await post(client, "http://nobody.example/")
        assert (outcome.status, outcome.error) == (None, "the host's name cannot be resolved")

    run(check())


@pytest.mark.usefixtures("short_timeouts")
def test_a_name_server_that_does_not_answer_runs_into_the_timeout(run: Run) -> None:
    released = threading.Event()

    def slow(name: str) -> Sequence[str]:
        released.wait(60)
        return ["127.0.0.1"]

    async def check() -> None:
        async with WebhookClient(to_loopback=True, lookup=slow) as client:
            outcome = await post(client, "http://slow.example/")
            released.set()
        assert outcome.status is None
        assert outcome.error in (
            f"no connection within {SHORT_SECONDS} seconds",
            f"no answer within {SHORT_SECONDS} seconds",
        )
        assert outcome.seconds < 30

    run(check())


def test_each_connection_resolves_the_name_once_and_uses_that_address(run: Run) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    lookups: list[str] = []

    def changing(name: str) -> Sequence[str]:
        lookups.append(name)
        return next(answers)

    async def check() -> None:
        closing = respond(http_response(204, "Connection: close"))
        async with WebhookClient(to_loopback=True, lookup=changing) as client, hostile_server(closing) as server:
            first = await post(client, server.url(host="hook.example"))
            assert lookups == ["hook.example"]
            second = await post(client, server.url(host="hook.example"))
            assert server.connections == 1
        assert first.delivered
        assert (second.status, second.error) == (None, FORBIDDEN)
        assert b"\r\nHost: hook.example:" in server.received

    run(check())


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "93.184.215.14"], ["::ffff:7f00:1"]]
)
def test_a_name_that_resolves_to_loopback_is_refused(run: Run, addresses: list[str]) -> None:
    async def check() -> None:
        async with WebhookClient(lookup=lambda name: addresses) as client, hostile_server(never_respond) as server:
            outcome = await post(client, server.url(host="hook.example"))
            await asyncio.sleep(0.01)
            assert server.connections == 0
        assert (outcome.status, outcome.error) == (None, FORBIDDEN)

    run(check())


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_a_url_with_an_address_of_this_machine_is_refused(run: Run, host: str) -> None:
    async def check() -> None:
        async with WebhookClient() as client, hostile_server(never_respond) as server:
            outcome = await post(client, server.url(host=host))
            await asyncio.sleep(0.01)
            assert server.connections == 0
        assert outcome.status is None
        assert outcome.error.startswith("the URL is refused: ")

    run(check())


def test_no_cookie_is_kept(run: Run) -> None:
    async def check() -> None:
        async with (
            WebhookClient(to_loopback=True) as client,
            hostile_server(
                respond(http_response(200, "Set-Cookie: seen=before; Path=/", "Connection: close"))
            ) as server,
        ):
            await post(client, server.url(host="localhost"))
            await post(client, server.url(host="localhost"))
        assert server.connections == 2
        assert b"cookie" not in server.received.lower()

    run(check())


def test_a_proxy_of_the_environment_is_not_used(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        async with (
            hostile_server(respond(http_response(502))) as proxy,
            hostile_server(respond(http_response(204))) as server,
        ):
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url())
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            async with WebhookClient(to_loopback=True) as client:
                assert (await post(client, server.url())).delivered
            assert proxy.connections == 0

    run(check())


def test_consecutive_webhooks_share_one_connection(run: Run) -> None:
    async def keep_alive(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(server, reader)
            writer.write(http_response(200, body=b"ok"))

    async def check() -> None:
        async with WebhookClient(to_loopback=True) as client, hostile_server(keep_alive) as server:
            for _ in range(5):
                assert (await post(client, server.url())).delivered
            assert server.connections == 1

    run(check())


def test_many_slow_servers_do_not_delay_a_webhook_to_another(run: Run) -> None:
    async def check() -> None:
        async with (
            WebhookClient(to_loopback=True) as client,
            hostile_server(never_respond) as slow,
            hostile_server(respond(http_response(204))) as quick,
        ):
            pending = [asyncio.create_task(post(client, slow.url())) for _ in range(120)]
            await asyncio.sleep(0)
            assert (await post(client, quick.url())).delivered
            assert not any(task.done() for task in pending)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    run(check())


def test_a_webhook_after_the_close_fails_without_a_connection(run: Run) -> None:
    async def check() -> None:
        async with hostile_server(respond(http_response(204))) as server:
            async with WebhookClient(to_loopback=True) as client:
                pass
            outcome = await post(client, server.url())
            assert server.connections == 0
        assert (outcome.status, outcome.delivered) == (None, False)

    run(check())


def test_a_malformed_secret_is_a_programming_error(run: Run) -> None:
    async def check() -> None:
        async with WebhookClient(to_loopback=True) as client:
            with pytest.raises(ValueError, match="prefix"):
                await client.post("http://127.0.0.1/", ["nope"], MESSAGE, 0, BODY)

    run(check())


def test_a_url_is_checked_against_the_addresses_that_the_client_may_use(run: Run) -> None:
    async def check() -> None:
        async with WebhookClient() as public_client, WebhookClient(to_loopback=True) as demo_client:
            public_client.check("https://example.com/hook")
            demo_client.check("http://127.0.0.1/hook")
            for client, url in ((public_client, "http://127.0.0.1/hook"), (demo_client, "http://8.8.8.8/hook")):
                with pytest.raises(Refused, match="address"):
                    client.check(url)

    run(check())
