"""A gateway: the HTTP API with its keys, known hosts and sockets, as the command-line options select them."""

from collections.abc import Collection
from types import SimpleNamespace

from aiohttp import web
from innkeeper.http.app import GatewayPorts, make_app
from innkeeper.http.keys import ApiKeys
from innkeeper.http.keys import read_keys as read_keys
from innkeeper.http.middleware import HostPolicy
from innkeeper.http.serving import free_port as free_port
from innkeeper.http.serving import reserved as reserved
from innkeeper.http.serving import serving as serving
from innkeeper.http.serving import serving_on as serving_on


def app_of(
    options: SimpleNamespace, parts: GatewayPorts, providers: Collection[str], keys: ApiKeys | None
) -> web.Application:
    """The HTTP API in front of the parts."""
    return make_app(parts, providers, keys, HostPolicy.from_options(options), options.simulated_clocks)
