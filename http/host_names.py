"""Parses the hosts in `Host`, `Origin` and forwarding headers strictly, to a canonical form."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DEFAULT_PORTS = {"http": 80, "https": 443}
CACHED_NAMES_MAX = 1_024
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,255}))(?::([0-9]{0,5}))?")
_PAIR = re.compile(r'\s*([A-Za-z0-9!#$%&\'*+.^_`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,]+))\s*')
_ESCAPED = re.compile(r"\\(.)")


class Authority(NamedTuple):
    """A host in canonical form (lower case, an address without brackets), and the port where one is given."""

    host: str
    port: int | None


class Origin(NamedTuple):
    """The origin of a page or of a request (RFC 6454): the default port of the scheme is filled in."""

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}")


@lru_cache(CACHED_NAMES_MAX)
def authority_of(text: str) -> Authority | None:
    """Parses a `Host` header; None where it is malformed (RFC 9110, section 7.2)."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    bracketed, name, digits = match.groups()
    port = int(digits) if digits else None
    if port is not None and not 1 <= port <= 65_535:
        return None
    if name is None:
        address = address_of(bracketed)
        return None if address is None or ":" not in bracketed else Authority(str(address), port)
    if name.startswith(".") or ".." in name or name == ".":
        return None
    address = address_of(name)
    return Authority(name.lower().removesuffix(".") if address is None else str(address), port)


@lru_cache(CACHED_NAMES_MAX)
def origin_of(text: str) -> Origin | None:
    """Parses an `Origin` header; None for `null` and where it is malformed."""
    scheme, separator, rest = text.partition("://")
    authority = authority_of(rest)
    if scheme not in DEFAULT_PORTS or not separator or authority is None:
        return None
    return Origin(scheme, authority.host, authority.port or DEFAULT_PORTS[scheme])


def address_of(text: str) -> Address | None:
    """Parses an IP address without its zone; IPv4 mapped into IPv6 becomes IPv4. None where it is not an address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address, `localhost`, or a name below it (RFC 6761)."""
    address = address_of(host)
    return address.is_loopback if address is not None else host == "localhost" or host.endswith(".localhost")


def host_name(text: str) -> str:
    """A host name or address from the command line, in canonical form. Raises ValueError."""
    text = text.strip()
    authority = authority_of(f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text)
    if authority is None:
        raise ValueError(f"{text!r} is not a host name (an international one needs its ASCII form, xn--…)")
    if authority.port is not None:
        raise ValueError(f"{text!r} must not have a port: a host name applies to all ports")
    return authority.host


def network(text: str) -> Network:
    """An address or a network from the command line: 10.0.0.7, 10.0.0.0/8, ::1. Raises ValueError."""
    return ip_network(text.strip())


def forwarded(values: Iterable[str]) -> Mapping[str, str] | None:
    """The last element of the `Forwarded` headers (RFC 7239), added by the nearest proxy; None where malformed."""
    text, position = ",".join(values), 0
    pairs: dict[str, str] = {}
    while match := _PAIR.match(text, position):
        name, quoted, token = match.groups()
        if name.lower() in pairs:
            return None
        pairs[name.lower()] = token if quoted is None else _ESCAPED.sub(r"\1", quoted)
        position = match.end() + 1
        separator = text[match.end() : position]
        if not separator:
            return pairs
        if separator == ",":
            pairs = {}
        elif separator != ";":
            return None
    return None
