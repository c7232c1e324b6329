"""Posts a webhook and returns the outcome.

The endpoint is not trusted: it may be slow, broken or hostile. Whatever it does becomes a `PostOutcome`, in limited
time and memory. Only the status of the answer counts, as soon as it has arrived; a short excerpt of the body is kept
for the list of deliveries.
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
from innkeeper.delivery.webhooks.guard import (
    AddressGuard,
    ForbiddenAddress,
    Lookup,
    check_url,
    guarded_connector,
    look_up,
    url_fault,
)
from innkeeper.delivery.webhooks.signing import signature_headers
from innkeeper.protocol.delivery.webhooks import ContentType
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
    "Accept-Encoding": "identity",
    "User-Agent": f"Innkeeper/{version('innkeeper')}",
}


class PostOutcome(msgspec.Struct, frozen=True):
    """The outcome of one attempt.

    `status` is that of the answer, None where there was none; `error` says why the message is not delivered.
    `excerpt` is the beginning of the answer's body. `retry_after_seconds` is the delay that the endpoint asks for,
    from the end of the attempt on.
    """

    status: int | None
    error: str = ""
    seconds: float = 0
    excerpt: str = ""
    retry_after_seconds: int | None = None

    @property
    def delivered(self) -> bool:
        """Whether the endpoint accepted the message: only 2xx means that (Standard Webhooks)."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether the endpoint asks for no further messages (410, Standard Webhooks)."""
        return self.status == 410


class WebhookClient:
    """Posts webhooks over pooled connections; made and closed within a running event loop.

    With `to_loopback` it posts only to this machine, for tests and demos. The caller limits the number of concurrent
    posts.
    """

    def __init__(self, *, to_loopback: bool = False, lookup: Lookup = look_up) -> None:
        self._to_loopback = to_loopback
        self._guard = AddressGuard(to_loopback=to_loopback, lookup=lookup)
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
        """Closes all connections; posts that are under way fail."""
        await self._session.close()
        await self._guard.close()

    def check(self, url: str) -> None:
        """Refuses a URL that webhooks may not be posted to (see `guard.url_fault`)."""
        check_url(url, to_loopback=self._to_loopback)

    async def post(
        self,
        url: str,
        secrets: Sequence[str],
        message_id: str,
        at_seconds: int,
        body: bytes,
        content_type: ContentType = ContentType.JSON,
    ) -> PostOutcome:
        """Makes one attempt to deliver a message. `body` is a CloudEvent as JSON; the other parameters are those of
        `signing.signature_headers`.

        Raises only for the caller's errors (a bad secret or id), never for those of the network or the endpoint.
        """
        headers = {"Content-Type": content_type, **signature_headers(secrets, message_id, at_seconds, body)}
        fault = url_fault(url, to_loopback=self._to_loopback)
        if fault is not None:
            return PostOutcome(None, f"the URL is refused: {fault.message}")
        start = time.monotonic()
        try:
            async with asyncio.timeout(webhook_seconds_max):
                target = URL(url, encoded=True)  # unchanged: a token in it may be signed
                response = await self._session.post(target, data=body, headers=headers, allow_redirects=False)
        except (ClientError, OSError, ValueError, RuntimeError) as error:  # uvloop has a RuntimeError for some OSErrors
            return PostOutcome(None, _reason(error), time.monotonic() - start)
        try:
            excerpt = await _excerpt(response)
        finally:
            if not response.content.at_eof():
                response.close()
            response.release()
        seconds = time.monotonic() - start
        retry_after = response.headers.get("Retry-After")
        return PostOutcome(
            response.status,
            _status_error(response.status),
            seconds,
            excerpt,
            None if retry_after is None else retry_after_seconds(retry_after, at_seconds + seconds),
        )


async def _excerpt(response: ClientResponse) -> str:
    """The beginning of the body, as far as it arrives in time; unprintable characters become spaces."""
    body = b""
    with suppress(ClientError, OSError):
        async with asyncio.timeout(webhook_excerpt_seconds_max):
            while len(body) < webhook_excerpt_bytes_max:
                chunk = await response.content.read(webhook_excerpt_bytes_max - len(body))
                if not chunk:
                    break
                body += chunk
    text = body.decode(errors="replace")
    return "".join(character if character.isprintable() else " " for character in text)


def _status_error(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"answered {status}: redirects are not followed"
    return f"answered {status}"


def _reason(error: Exception) -> str:
    """Why there is no answer, without disclosing addresses."""
    match error:
        case ClientConnectorError(os_error=ForbiddenAddress()):
            return "webhooks may not go to the address of the host"
        case ClientConnectorDNSError():
            return "the host's name cannot be resolved"
        case ClientConnectorCertificateError(certificate_error=cause):
            return f"the host's certificate is not trusted: {getattr(cause, 'verify_message', '') or 'invalid'}"
        case ClientSSLError():
            return "the TLS handshake with the host failed"
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
    return "the connection was lost before there was an answer"
