"""The middleware: what happens around every request.

It gives the request an id, checks where it comes from and who makes it, renders every error, counts the response, and
logs slow ones. Three checks reject what a web page of another origin does through the browser of a user who can reach
this server:

1. The request is made to a known host of this server. If an attacker's name resolves to this server (DNS rebinding), a
   page of that name is same-origin, and the other checks do not stop it.
2. It is not made by a page of another origin (`Origin`, `Sec-Fetch-Site`), which may only link here. Clients other than
   browsers send neither header.
3. A body is JSON: a form, or a script without permission (CORS), cannot send that type to another origin.
"""

import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Collection
from functools import lru_cache
from itertools import count
from types import SimpleNamespace

from aiohttp import web
from aiohttp.typedefs import Middleware
from innkeeper.http.api.parsing import RequestRejected
from innkeeper.http.host_names import (
    CACHED_NAMES_MAX,
    DEFAULT_PORTS,
    Authority,
    Network,
    Origin,
    address_of,
    authority_of,
    forwarded,
    is_loopback,
    origin_of,
)
from innkeeper.http.keys import BY, ApiKeys
from innkeeper.http.metrics import Metrics
from innkeeper.http.problem_codes import CROSS_ORIGIN, MALFORMED_HOST, UNKNOWN_HOST, UNSUPPORTED_MEDIA_TYPE
from innkeeper.http.problems import REQUEST_ID, error_response
from innkeeper.protocol.values import limits

logger = logging.getLogger(__name__)

METRICS: web.AppKey[Metrics] = web.AppKey("metrics")

NOT_FOR_OTHER_ORIGINS = {"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}
"""Headers of every response: a browser does not give it to a page of another origin, whatever its media type."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_REQUEST_ID = re.compile(rf"[\x21-\x7e]{{1,{limits.request_id_characters_max}}}")
_SLOW_SECONDS = 0.5
_PROCESS = os.urandom(8).hex()  # prefix of generated request ids: unique to this process
_requests = count(1)
_NO_KEYS = "front desk"  # who acts where no keys are required

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({None, "same-origin", "none"})  # Sec-Fetch-Site (W3C Fetch Metadata); none: typed by the user
_SHOWN_CHARACTERS_MAX = 100


class HostPolicy:
    """The known hosts of a server, and the proxies that may forward the requested host and scheme.

    Loopback names, the address that the server is bound to and the address that a connection arrived at are always
    known: an attacker cannot serve pages under any of them."""

    def __init__(self, names: Collection[str] = (), proxies: Collection[Network] = (), bound: str = "") -> None:
        """`names` and `bound` (the host that the server listens on) are in the form of `host_name`."""
        known = frozenset({*names, bound})
        self._proxies = tuple(proxies)

        @lru_cache(CACHED_NAMES_MAX)
        def is_known(host: str) -> bool:
            return host in known or is_loopback(host)

        @lru_cache(CACHED_NAMES_MAX)
        def is_proxy(peer: str) -> bool:
            address = address_of(peer)
            return address is not None and any(address in each for each in self._proxies)

        self._is_known, self._is_proxy = is_known, is_proxy

    @classmethod
    def from_options(cls, options: SimpleNamespace) -> "HostPolicy":
        """The policy that the command-line options select."""
        return cls(options.host_name, options.trusted_proxy, str(address_of(options.host) or options.host.lower()))

    def check(self, request: web.Request) -> None:
        """Makes the three checks. Raises RequestRejected."""
        try:
            origin = self._origin(request)
        except RequestRejected:
            if not _is_health(request):
                raise
            return
        headers = request.headers
        if "Origin" in headers:
            _check_origin(headers.getall("Origin"), origin)
        if headers.get("Sec-Fetch-Site") not in _OWN_SITES and not _is_link(request):
            raise RequestRejected(CROSS_ORIGIN, "a page of another origin may only link to this server")
        is_json = headers.get("Content-Type") == "application/json" and "Content-Encoding" not in headers
        if not is_json and request.body_exists and request.method not in _SAFE:
            _check_body(request)

    def _origin(self, request: web.Request) -> Origin:
        """The origin that the request was made to. Raises RequestRejected where its host is not known."""
        hosts = request.headers.getall("Host", ())
        if len(hosts) != 1:
            number = "no" if not hosts else "more than one"
            raise RequestRejected(
                MALFORMED_HOST, f"the request has {number} Host header; one is required (RFC 9112, 3.2)"
            )
        scheme, host = "http", hosts[0]
        if not request.raw_path.startswith("/") and request.url.host is not None:
            _check_target(request, host)
        if self._proxies and self._is_proxy(request.remote or ""):
            scheme, host = _forwarded(request, scheme, host)
        authority = authority_of(host)
        if authority is None:
            raise RequestRejected(MALFORMED_HOST, f"the host {_shown(host)} is not a host name with an optional port")
        if not self._is_known(authority.host) and not _arrived_at(request, authority):
            raise RequestRejected(UNKNOWN_HOST, _unknown(authority.host))
        return Origin(scheme, authority.host, authority.port or DEFAULT_PORTS[scheme])


def handle_requests(policy: HostPolicy, keys: ApiKeys | None, metrics: Metrics) -> Middleware:
    """The only middleware. Without `keys` every client has access."""

    @web.middleware
    async def handle_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("X-Request-ID")
        request_id = given if given is not None and _REQUEST_ID.fullmatch(given) else f"{_PROCESS}-{next(_requests):x}"
        request[REQUEST_ID] = request_id
        start = time.perf_counter()
        try:
            policy.check(request)
            request[BY] = _NO_KEYS if keys is None else keys.client(request)
            response = await handler(request)
        except Exception as error:
            response = error_response(request, error)
        if response.prepared:  # a stream, whose duration the client decides
            return response
        response.headers["X-Request-ID"] = request_id
        response.headers.update(NOT_FOR_OTHER_ORIGINS)
        seconds = time.perf_counter() - start
        metrics.count(request, response.status, seconds)
        if seconds > _SLOW_SECONDS:
            logger.warning("request %s took %.0f ms: %s %s", request_id, seconds * 1e3, request.method, request.path)
        return response

    return handle_request


def _is_health(request: web.Request) -> bool:
    """Whether this is a health check, which a load balancer may make under any host name or address."""
    resource = request.match_info.route.resource
    return resource is not None and resource.canonical.startswith("/health/")


def _check_target(request: web.Request, host: str) -> None:
    """Refuses a request target with a host (`GET http://host/path`) that differs from the Host header."""
    if origin_of(f"http://{request.url.authority}") != origin_of(f"http://{host}"):
        raise RequestRejected(MALFORMED_HOST, "the Host header and the request target name different hosts")


def _arrived_at(request: web.Request, authority: Authority) -> bool:
    """Whether this is the local address of the connection. It matters where the server listens on all addresses."""
    transport = request.transport
    address = address_of(authority.host)
    if transport is None or address is None:
        return False
    return address == address_of(str(transport.get_extra_info("sockname")[0]))


def _forwarded(request: web.Request, scheme: str, host: str) -> tuple[str, str]:
    """The scheme and host that the proxy received. Where both kinds of forwarding headers are present, they must agree:
    otherwise a client could add the header that the proxy does not set."""
    headers = request.headers
    standard = forwarded(headers.getall("Forwarded", ())) if "Forwarded" in headers else {}
    if standard is None:
        raise RequestRejected(MALFORMED_HOST, "the Forwarded header is malformed (RFC 7239)")
    found = {}
    for name, default in (("host", host), ("proto", scheme)):
        values = {standard[name].lower()} if name in standard else set()
        if common := headers.getall(f"X-Forwarded-{name.title()}", ()):
            values.add(common[-1].rpartition(",")[2].strip().lower())
        if len(values) > 1:
            raise RequestRejected(MALFORMED_HOST, f"Forwarded and X-Forwarded-{name.title()} differ")
        found[name] = values.pop() if values else default
    if found["proto"] not in DEFAULT_PORTS:
        raise RequestRejected(MALFORMED_HOST, f"the forwarded scheme {_shown(found['proto'])} is not http or https")
    return found["proto"], found["host"]


def _check_origin(origins: Collection[str], own: Origin) -> None:
    """Refuses a request by a page of another origin, which the browser names in `Origin`."""
    for origin in origins:
        if origin_of(origin) != own:
            raise RequestRejected(
                CROSS_ORIGIN,
                f"a page of {_shown(origin)} may not make this request to {own}. If both are this server behind a "
                "proxy, the proxy must forward the host and scheme, and be listed with --trusted-proxy",
            )


def _is_link(request: web.Request) -> bool:
    """Whether the user followed a link from another site to a page of its own, not embedded in theirs."""
    headers = request.headers
    navigates = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") in (None, "document")
    return navigates and request.method in _SAFE


def _check_body(request: web.Request) -> None:
    headers = request.headers
    if request.content_type != "application/json":
        raise RequestRejected(UNSUPPORTED_MEDIA_TYPE, "the body must be JSON, with Content-Type: application/json")
    if "Content-Encoding" in headers:
        raise RequestRejected(UNSUPPORTED_MEDIA_TYPE, "Content-Encoding is not supported; send the body unencoded")


def _unknown(host: str) -> str:
    return (
        f"{_shown(host)} is not a known host of this server. Known are loopback names, the address that it is bound "
        "to, and the names given to serve or gateway with --host-name (INNKEEPER_HOST_NAME)"
    )


def _shown(text: str) -> str:
    return repr(text[:_SHOWN_CHARACTERS_MAX])
