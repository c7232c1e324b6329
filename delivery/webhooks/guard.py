"""The guard for outgoing webhooks: they go to the public internet, never to the network of this server.

The client that registers a webhook chooses where this server connects to. Without a guard that could be the cloud's
metadata service, a database, or this server itself (server-side request forgery, OWASP API7:2023). A URL is checked
when it is registered, in a strict form that all parsers read alike. The addresses of a name are checked for each
connection, and the connection is made to the checked address, so that a later change of the name has no effect.
"""

import asyncio
import re
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import AddrInfoType, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from innkeeper.protocol.messages.refusals import FieldError, InvalidRequest, Refused
from innkeeper.protocol.values.limits import webhook_lookups_at_once_max, webhook_url_characters_max

_KEEP_ALIVE_SECONDS = 1  # for bursts; most servers keep an idle connection longer, so none is closed during a post

Lookup = Callable[[str], Sequence[str]]
"""Resolves a name to its addresses. May block; raises `OSError` where there are none."""

_VISIBLE = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})+")
_UNSAFE = frozenset('"<>\\^`{|}')  # never in a URL (RFC 3986), and read differently by different parsers
_URL = re.compile(r"(?P<scheme>[^:/?#]+)://(?P<authority>[^/?#]*)(?:[/?][^#]*)?(?P<fragment>#.*)?")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?P<port>:.*)?")
_PORT = re.compile(r":[1-9][0-9]{0,4}")
_PORT_MAX = 65_535
_NAME_CHARACTERS_MAX = 253
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.I)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.I)
_LOOPBACK_NAME = re.compile(r"(.*\.)?localhost", re.I)  # RFC 6761, 6.3

# IANA's special-purpose registries (RFC 6890), and addresses that clouds reserve.
_LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_NOT_PUBLIC_4 = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider's customers
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's own services, on every virtual machine
        "169.254.0.0/16",  # link-local, with the metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays to 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, with broadcast
    )
)
_GLOBAL_6 = IPv6Network("2000::/3")  # all that is allocated; without loopback, link-local, unique local and multicast
_NOT_PUBLIC_6 = tuple(
    IPv6Network(net)
    for net in (
        "2001::/23",  # protocol assignments, with Teredo
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
# IPv6 networks that embed an IPv4 address, and the number of bits to the right of it.
_EMBEDDING_6 = (
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped (RFC 4291)
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64 (RFC 6052)
    (IPv6Network("2002::/16"), 80),  # 6to4 (RFC 3056)
)


class ForbiddenAddress(OSError):
    """The guard refuses the connection."""


def permitted(address: str, *, to_loopback: bool = False) -> bool:
    """Whether a webhook may go to this address: a public one; with `to_loopback`, only this machine's."""
    try:
        known = ip_address(address)
    except ValueError:
        return False
    if isinstance(known, IPv6Address) and known.scope_id is not None:
        return False
    if to_loopback:
        return any(known in net for net in _LOOPBACK)
    if isinstance(known, IPv6Address):
        embedded = _embedded(known)
        if embedded is None:
            return known in _GLOBAL_6 and not any(known in net for net in _NOT_PUBLIC_6)
        known = embedded
    return not any(known in net for net in _NOT_PUBLIC_4)


def url_fault(url: str, *, to_loopback: bool = False) -> FieldError | None:
    """What is wrong with a webhook's URL, as far as can be known without resolving its name."""
    if len(url) > webhook_url_characters_max:
        return _fault("length", f"at most {webhook_url_characters_max} characters")
    if not _VISIBLE.fullmatch(url) or _UNSAFE & set(url):
        return _fault("characters", "visible ASCII only: names as xn--…, all else percent-encoded (RFC 3986)")
    parts = _URL.fullmatch(url)
    if parts is None or parts["scheme"].lower() not in ("https", "http"):
        return _fault("scheme", "expected https://… or http://…")
    if parts["fragment"] is not None:
        return _fault("fragment", "a fragment (#…) is never sent; leave it out")
    if "@" in parts["authority"]:
        return _fault("user_info", "no user or password in the URL; messages are signed instead")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None or not authority["host"]:
        return _fault("host", "expected a host after ://")
    port = authority["port"]
    if port is not None and not (_PORT.fullmatch(port) and int(port[1:]) <= _PORT_MAX):
        return _fault("port", f"expected a port from 1 to {_PORT_MAX}")
    return _host_fault(authority["host"], to_loopback)


def check_url(url: str, *, to_loopback: bool = False) -> None:
    """Refuses a URL that no webhook may go to (see `url_fault`)."""
    fault = url_fault(url, to_loopback=to_loopback)
    if fault is not None:
        raise Refused(InvalidRequest((fault,)))


def look_up(name: str) -> Sequence[str]:
    """The addresses that the system's resolver returns for a name. Blocks."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)))


class AddressGuard(AbstractResolver):
    """Resolves names for connections and opens their sockets, only where the address is permitted.

    Names are looked up in separate threads: a name server that does not answer must not block the threads for the disk.
    A look-up may outlast the posts that wait for it, so a name is looked up once at a time: each name that is not
    answered blocks one thread, and there are more threads than webhooks.
    """

    def __init__(self, *, to_loopback: bool = False, lookup: Lookup = look_up) -> None:
        self._to_loopback = to_loopback
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(webhook_lookups_at_once_max, "webhook-names")
        self._pending: dict[str, asyncio.Future[Sequence[str]]] = {}

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 (every address counts)
    ) -> list[ResolveResult]:
        """See `aiohttp.abc.AbstractResolver`. Raises `ForbiddenAddress` if any of the addresses is not permitted."""
        addresses = await asyncio.shield(self._pending.get(host) or self._begin_lookup(host))
        if not addresses:
            raise OSError("the name has no address")
        if not all(permitted(address, to_loopback=self._to_loopback) for address in addresses):
            raise ForbiddenAddress("the name has an address that webhooks may not go to")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    def _begin_lookup(self, host: str) -> "asyncio.Future[Sequence[str]]":
        lookup = asyncio.get_running_loop().run_in_executor(self._threads, self._lookup, host)

        def end(done: "asyncio.Future[Sequence[str]]") -> None:
            del self._pending[host]
            done.cancelled() or done.exception()  # perhaps nobody waits for it any more

        self._pending[host] = lookup
        lookup.add_done_callback(end)
        return lookup

    def open_socket(self, destination: AddrInfoType) -> socket.socket:
        """Opens the socket for a connection to this address, which aiohttp does not resolve again. This is the last
        check, and the only one for an address in the URL itself, which is not resolved."""
        family, kind, protocol, _, address = destination
        if not permitted(str(address[0]), to_loopback=self._to_loopback):
            raise ForbiddenAddress("webhooks may not go to this address")
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Stops the look-ups without waiting for those under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def guarded_connector(guard: AddressGuard) -> TCPConnector:
    """A connector that checks each connection with the guard. Resolved names are not cached; the caller limits the
    number of connections."""
    return TCPConnector(
        resolver=guard,
        socket_factory=guard.open_socket,
        use_dns_cache=False,
        keepalive_timeout=_KEEP_ALIVE_SECONDS,
        limit=0,
    )


def _host_fault(host: str, to_loopback: bool) -> FieldError | None:
    name = host.removesuffix(".")
    if host.startswith("["):
        return _literal_fault(host[1:-1], IPv6Address, "an IPv6 address in brackets", to_loopback)
    if _NUMBER.fullmatch(name.rpartition(".")[2]):  # then it is an IPv4 address (WHATWG URL)
        return _literal_fault(host, IPv4Address, "an IPv4 address as four decimal numbers", to_loopback)
    if len(name) > _NAME_CHARACTERS_MAX or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        return _fault("host", "expected a host name")
    if not to_loopback and _LOOPBACK_NAME.fullmatch(name):
        return _fault("address", "webhooks go to public addresses only")
    return None


def _literal_fault(
    host: str, kind: type[IPv4Address] | type[IPv6Address], form: str, to_loopback: bool
) -> FieldError | None:
    try:
        kind(host)
    except ValueError:
        return _fault("host", f"expected {form}")
    if not permitted(host, to_loopback=to_loopback):
        where = "this machine's own address" if to_loopback else "public addresses"
        return _fault("address", f"webhooks go to {where} only")
    return None


def _embedded(address: IPv6Address) -> IPv4Address | None:
    for net, bits in _EMBEDDING_6:
        if address in net:
            return IPv4Address(int(address) >> bits & 0xFFFFFFFF)
    return None


def _fault(rule: str, message: str) -> FieldError:
    return FieldError("url", rule, message)
