"""Composes the gateway: its dependencies, its routes, and its middlewares."""

from collections.abc import Collection, Mapping

from aiohttp import web
from innkeeper.http.api import asyncapi, openapi
from innkeeper.http.api.billing import PROVIDERS
from innkeeper.http.api.reservations import (
    ASYNCAPI,
    BUSES,
    LOGS,
    OPENAPI,
    RESERVATIONS_BUS,
    STREAM,
    VIEWS,
    show_page_part,
)
from innkeeper.http.api.routes import ROUTES
from innkeeper.http.api.subscribers import SERVICES
from innkeeper.http.keys import Keys, require_key
from innkeeper.http.live_stream import LiveStream
from innkeeper.http.metrics import Metrics
from innkeeper.http.origin_check import HostPolicy, check_origins
from innkeeper.http.problems import METRICS, handle_request
from innkeeper.protocol.ports.message_bus import CommitStream, MessageBus, Services
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.ports.views import Views
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.limits import body_bytes_max


def make_app(
    buses: Mapping[str, MessageBus],
    streams: Mapping[str, CommitStream],
    logs: Mapping[str, EventLog],
    views: Views,
    services: Services,
    keys: Keys | None = None,
    providers: Collection[str] = (),
    hosts: HostPolicy | None = None,
) -> web.Application:
    """The gateway to the message buses, commit streams and logs of all contexts, the read models of reservations, and
    the services. Without `keys` every client has access. `providers` are the available payment providers. `hosts` are
    the host names that requests may be made to; by default only loopback names."""
    bus = buses[RESERVATIONS]
    app = web.Application(
        middlewares=[handle_request, check_origins(hosts or HostPolicy()), require_key(keys)],
        client_max_size=body_bytes_max,
    )
    app[BUSES] = buses
    app[RESERVATIONS_BUS] = bus
    app[VIEWS] = views
    app[LOGS] = logs
    app[SERVICES] = services
    app[PROVIDERS] = frozenset(providers)
    app[OPENAPI] = openapi.document()
    app[ASYNCAPI] = asyncapi.document()
    app[STREAM] = LiveStream(streams, logs)
    app[METRICS] = Metrics(bus, app[STREAM], services)
    app.on_shutdown.append(app[STREAM].close)
    app.add_routes(ROUTES)
    app.router.add_get("/pages/{part}", show_page_part, allow_head=False)
    return app
