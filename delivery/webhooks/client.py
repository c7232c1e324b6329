"""Sends one webhook, and says what came of it.

The other side is a stranger: it may be slow, broken or hostile. Whatever it does becomes an `Outcome`, within a limited
time and a limited amount of memory. It counts what it answered, not what it said: the status is taken as soon as it is
there, and of the body a little is read for whoever looks into a failure later.
"""

import asyncio
import errno
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from types import TracebackType

import msgspec
from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientPayloadError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    DummyCookieJar,
    InvalidURL,
    ServerTimeoutError,
)
from innkeeper.delivery.backoff import retry_after_seconds
from innkeeper.delivery.webhooks.guard import Forbidden, Guard, Lookup, check_url, guarded_connector, look_up, url_fault
from innkeeper.delivery.webhooks.signing import signature_headers
from innkeeper.protocol.values.limits import (
    webhook_connect_seconds_max,
    webhook_excerpt_bytes_max,
    webhook_excerpt_seconds_max,
    webhook_seconds_max,
)
from yarl import URL

_BUFFER_BYTES = 4_096
_HEADER_BYTES_MAX = 8_190
_HEADERS = {
    "Content-Type": "application/cloudevents+json",  # structured mode: CloudEvents 1.0, HTTP binding, section 3.2
    "Accept-Encoding": "identity",
    "User-Agent": f"Innkeeper/{version('innkeeper')}",
}


class Outcome(msgspec.Struct, frozen=True):
    """What came of one attempt.

    `status` is what was answered, None where nothing was; `error` says in a few words why it is not delivered.
    `excerpt` is the beginning of the answer's body. `retry_after_seconds` is how long the other side asks to be left
    in peace, counted from the end of the attempt.
    """

    status: int | None
    error: str = ""
    seconds: float = 0
    excerpt: str = ""
    retry_after_seconds: int | None = None

    @property
    def delivered(self) -> bool:
        """Did the endpoint take the message in? Only 2xx says so (Standard Webhooks)."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Does the endpoint ask never to be called again (410, Standard Webhooks)?"""
        return self.status == 410


class WebhookClient:
    """Posts webhooks over connections that it holds; made and closed within a running event loop.

    With `to_loopback` it posts to this machine and nowhere else, for tests and demos. How many are posted at once is
    up to whoever asks.
    """

    def __init__(self, *, to_loopback: bool = False, lookup: Lookup = look_up) -> None:
        self._to_loopback = to_loopback
        self._guard = Guard(to_loopback=to_loopback, lookup=lookup)
        self._session = ClientSession(
            connector=guarded_connector(self._guard),
            cookie_jar=DummyCookieJar(),
            headers=_HEADERS,
            timeout=ClientTimeout(total=None, connect=webhook_connect_seconds_max),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=_BUFFER_BYTES,
            max_line_size=_HEADER_BYTES_MAX,
            max_field_size=_HEADER_BYTES_MAX,
        )

    async def __aenter__(self) -> "WebhookClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections; what is being posted fails."""
        await self._session.close()
        await self._guard.close()

    def check(self, url: str) -> None:
        """Refuses a URL that would never be posted to (see `guard.url_fault`)."""
        check_url(url, to_loopback=self._to_loopback)

    async def post(self, url: str, secrets: Sequence[str], message_id: str, at_seconds: int, body: bytes) -> Outcome:
        """Try once to deliver a message: `body` is a CloudEvent as JSON, the rest see `signing.signature_headers`.

        Raises only what is our own fault (a bad secret or id); nothing that the network or the other side does.
        """
        headers = signature_headers(secrets, message_id, at_seconds, body)
        fault = url_fault(url, to_loopback=self._to_loopback)
        if fault is not None:
            return Outcome(None, f"the URL is refused: {fault.message}")
        start = time.monotonic()
        try:
            async with asyncio.timeout(webhook_seconds_max):
                target = URL(url, encoded=True)  # as it was given: a token in it may be signed
                response = await self._session.post(target, data=body, headers=headers, allow_redirects=False)
        except (ClientError, OSError, ValueError, RuntimeError) as error:  # uvloop has a RuntimeError for some OSErrors
            return Outcome(None, _reason(error), time.monotonic() - start)
        try:
            excerpt = await _excerpt(response)
        finally:
            if not response.content.at_eof():
                response.close()
            response.release()
        seconds = time.monotonic() - start
        asked = response.headers.get("Retry-After")
        return Outcome(
            response.status,
            _complaint(response.status),
            seconds,
            excerpt,
            None if asked is None else retry_after_seconds(asked, at_seconds + seconds),
        )


async def _excerpt(response: ClientResponse) -> str:
    """The beginning of the body, as far as it comes soon; the other side has no say in what a log looks like."""
    body = b""
    with suppress(ClientError, OSError):
        async with asyncio.timeout(webhook_excerpt_seconds_max):
            while len(body) < webhook_excerpt_bytes_max:
                batch = await response.content.read(webhook_excerpt_bytes_max - len(body))
                if not batch:
                    break
                body += batch
    text = body.decode(errors="replace")
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _complaint(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"answered {status}: redirects are not followed"
    return f"answered {status}"


def _reason(error: Exception) -> str:
    """Why there is no answer, in words that give away nothing about addresses."""
    match error:
        case ClientConnectorError(os_error=Forbidden()):
            return "the host is not at a public address that webhooks may go to"
        case ClientConnectorDNSError():
            return "the host's name cannot be resolved"
        case ClientConnectorCertificateError(certificate_error=cause):
            return f"the host's certificate is not trusted: {getattr(cause, 'verify_message', '') or 'invalid'}"
        case ClientSSLError():
            return "the host does not speak TLS with us"
        case ServerTimeoutError():
            return f"no connection within {webhook_connect_seconds_max} seconds"
        case TimeoutError():
            return f"no answer within {webhook_seconds_max} seconds"
        case ClientConnectorError(os_error=cause) if cause.errno == errno.ECONNREFUSED:
            return "the host refuses connections"
        case ClientConnectorError():
            return "no connection to the host"
        case InvalidURL():
            return "the URL is refused"
        case ClientResponseError() | ClientPayloadError():
            return "the answer is not HTTP"
    return "the connection broke before there was an answer"
