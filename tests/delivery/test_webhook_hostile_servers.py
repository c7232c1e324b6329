"""Webhooks to servers that are slow, broken or hostile: each ends soon, costs little, and reports why it failed."""

import asyncio
import gzip
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from innkeeper.delivery.webhooks import client as client_module
from innkeeper.delivery.webhooks.client import WebhookClient
from support.hostile_servers import (
    LOOPS,
    Behaviour,
    HostileServer,
    Run,
    hostile_server,
    http_response,
    never_respond,
    post,
    post_to,
    repeat,
    respond,
)
from support.required_tools import require

SHORT_SECONDS = 0.5
CLOCK_TOLERANCE_SECONDS = 0.01  # how much two clocks of one machine differ at most


@pytest.fixture(params=LOOPS, ids=lambda loop: loop.__module__)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a coroutine in each kind of event loop that Innkeeper supports."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.run


@pytest.fixture
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short timeouts, so that the tests are short too."""
    for name in ("webhook_seconds_max", "webhook_connect_seconds_max", "webhook_excerpt_seconds_max"):
        monkeypatch.setattr(client_module, name, SHORT_SECONDS)


def test_a_response_cannot_forge_log_lines(run: Run) -> None:
    async def check() -> None:
        outcome, _ = await post_to(
            respond(http_response(500, body=b"a\x1b[2J\r\n2026 all is well\x00\xff\xe2\x80\xae."))
        )
        assert outcome.excerpt == "a [2J  2026 all is well \ufffd ."

    run(check())


def test_a_compressed_response_is_not_unpacked(run: Run) -> None:
    async def check() -> None:
        bomb = gzip.compress(bytes(10_000_000))
        outcome, _ = await post_to(respond(http_response(200, "Content-Encoding: gzip", body=bomb)))
        assert outcome.delivered
        assert len(outcome.excerpt) <= 1_024
        assert "\ufffd" in outcome.excerpt

    run(check())


@pytest.mark.parametrize("framing", [b"", b"Content-Length: 1000000000000\r\n"])
def test_an_endless_response_is_cut_off(run: Run, framing: bytes) -> None:
    async def check() -> None:
        start = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n"
        async with WebhookClient(to_loopback=True) as client, hostile_server(repeat(start, b"x" * 65_536)) as server:
            outcome = await post(client, server.url())
            async with asyncio.timeout(30):
                await server.disconnected.wait()
        assert outcome.delivered
        assert outcome.excerpt == "x" * 1_024
        assert outcome.seconds < 5
        assert server.bytes_sent < 20_000_000

    run(check())


def test_a_response_in_endless_chunks_is_cut_off(run: Run) -> None:
    async def check() -> None:
        start = b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n"
        outcome, _ = await post_to(repeat(start, b"1\r\nx\r\n" * 1_000))
        assert (outcome.status, outcome.excerpt) == (404, "x" * 1_024)

    run(check())


@pytest.mark.usefixtures("short_timeouts")
def test_a_success_status_with_a_slow_body_means_delivered(run: Run) -> None:
    async def check() -> None:
        start = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        outcome, _ = await post_to(repeat(start, b"z", pause=SHORT_SECONDS / 5))
        assert outcome.delivered
        assert outcome.excerpt.strip("z") == ""
        assert 1 <= len(outcome.excerpt) < 20
        assert SHORT_SECONDS - CLOCK_TOLERANCE_SECONDS <= outcome.seconds < 5

    run(check())


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_success_status_with_an_incomplete_body_means_delivered(run: Run, then: str) -> None:
    async def check() -> None:
        outcome, _ = await post_to(respond(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc", then=then))
        assert outcome.delivered

    run(check())


def test_a_response_before_the_end_of_the_request_is_read(run: Run) -> None:
    async def answer_early(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http_response(413, "Connection: close"))
        await writer.drain()
        await asyncio.sleep(0.1)

    async def check() -> None:
        async with WebhookClient(to_loopback=True) as client, hostile_server(answer_early) as server:
            async with asyncio.timeout(30):
                outcome = await post(client, server.url(), b"x" * 1_000_000)
        assert not outcome.delivered
        assert outcome.status == 413

    run(check())


@pytest.mark.usefixtures("short_timeouts")
@pytest.mark.parametrize(
    "behaviour",
    [
        never_respond,
        respond(then="silence"),
        respond(b"HTTP/1.1 200 OK\r\nX-Slow: ", then="silence"),
        repeat(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"z", pause=SHORT_SECONDS / 5),
        repeat(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=SHORT_SECONDS / 100),
        repeat(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n" * 100),
    ],
    ids=["nothing", "nothing after the request", "half a head", "slow head", "continue", "early hints"],
)
def test_a_server_that_does_not_answer_in_time_runs_into_the_timeout(run: Run, behaviour: Behaviour) -> None:
    async def check() -> None:
        async with WebhookClient(to_loopback=True) as client, hostile_server(behaviour) as server:
            outcome = await post(client, server.url())
            async with asyncio.timeout(30):
                await server.disconnected.wait()
        assert (outcome.status, outcome.error) == (None, f"no answer within {SHORT_SECONDS} seconds")
        assert SHORT_SECONDS - CLOCK_TOLERANCE_SECONDS <= outcome.seconds < 5

    run(check())


@pytest.mark.parametrize(
    "garbage",
    [
        b"\r\n\r\n\r\nnope\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example ESMTP\r\n",
        b"<html>HTTP/0.9 was enough</html>\n\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 -200 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(range(256)) * 40,
    ],
)
def test_garbage_is_not_a_response(run: Run, garbage: bytes) -> None:
    async def check() -> None:
        outcome, _ = await post_to(respond(garbage))
        assert (outcome.status, outcome.delivered) == (None, False)
        assert outcome.error in ("the answer is not HTTP", "the connection was lost before there was an answer")

    run(check())


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nSet-Cookie: ;;=;\x01\xff\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: \xff/;;charset=\xff\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: nonsense\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk\r\n",
        b"HTTP/1.0 200\r\n\r\n",
        b"HTTP/1.1 200 \xff\xfe\r\nLink: <<<>>>;;rel\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nRetry-After: \xff\r\nContent-Length: 0\r\n\r\nHTTP/1.1 500 smuggled\r\n\r\n",
    ],
)
def test_odd_responses_give_a_consistent_outcome(run: Run, response: bytes) -> None:
    async def check() -> None:
        outcome, _ = await post_to(respond(response))
        assert outcome.status in (200, None)
        assert outcome.delivered == (not outcome.error)

    run(check())


@pytest.mark.parametrize(
    "behaviour",
    [
        repeat(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 65_536),
        repeat(b"HTTP/1.1 200 OK\r\n", b"".join(b"X-%d: x\r\n" % number for number in range(10_000))),
        repeat(b"HTTP/1.1 200 ", b"O" * 65_536),
        repeat(b"", b"x" * 65_536),
    ],
    ids=["a header without end", "headers without end", "a reason without end", "no head at all"],
)
def test_an_endless_response_head_is_cut_off(run: Run, behaviour: Behaviour) -> None:
    async def check() -> None:
        outcome, server = await post_to(behaviour)
        assert (outcome.status, outcome.error) == (None, "the answer is not HTTP")
        assert outcome.seconds < 5
        assert server.bytes_sent < 20_000_000

    run(check())


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_broken_connection_is_reported(run: Run, then: str) -> None:
    async def check() -> None:
        for behaviour in (respond(then=then), respond(b"HTTP/1.1 20", then=then)):
            outcome, _ = await post_to(behaviour)
            assert (outcome.status, outcome.error) == (None, "the connection was lost before there was an answer")

    run(check())


@pytest.mark.usefixtures("short_timeouts")
def test_a_tls_handshake_that_does_not_end_runs_into_the_timeout(run: Run) -> None:
    async def check() -> None:
        async with WebhookClient(to_loopback=True) as client, hostile_server(never_respond) as server:
            outcome = await post(client, server.url("https"))
        assert outcome.status is None
        assert outcome.error.startswith("no ")
        assert SHORT_SECONDS - CLOCK_TOLERANCE_SECONDS <= outcome.seconds < 5

    run(check())


def test_a_server_without_tls_does_not_get_the_message(run: Run) -> None:
    async def plain_http(server: HostileServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.received = await reader.read(1_000)
        writer.write(http_response(200))

    async def check() -> None:
        outcome = None
        async with WebhookClient(to_loopback=True) as client, hostile_server(plain_http) as server:
            outcome = await post(client, server.url("https"))
        assert (outcome.status, outcome.error) == (None, "the TLS handshake with the host failed")
        assert b"Ana" not in server.received

    run(check())


def test_a_server_with_a_self_signed_certificate_does_not_get_the_message(run: Run, tmp_path: Path) -> None:
    require(shutil.which("openssl") is not None, "no openssl on this machine")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "certificate.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")

    async def check() -> None:
        async with (
            WebhookClient(to_loopback=True) as client,
            hostile_server(respond(http_response(200)), tls) as server,
        ):
            outcome = await post(client, server.url("https"))
        assert outcome.status is None
        assert outcome.error.startswith("the host's certificate is not trusted: self")
        assert server.received == b""

    run(check())


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"], ids=["silent", "halfway"])
def test_a_cancelled_webhook_closes_its_connection(run: Run, start: bytes) -> None:
    async def check() -> None:
        async with (
            WebhookClient(to_loopback=True) as client,
            hostile_server(respond(start, then="silence")) as server,
        ):
            task = asyncio.create_task(post(client, server.url()))
            async with asyncio.timeout(30):
                await server.responded.wait()
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(30):
                await server.disconnected.wait()

    run(check())
