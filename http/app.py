"""The gateway's table of contents: what it needs, what it serves, what stands before every request."""

from collections.abc import Collection, Mapping

from aiohttp import web
from innkeeper.http.api import asyncapi, openapi
from innkeeper.http.api.billing import PROVIDERS
from innkeeper.http.api.reservations import ASYNCAPI, DESK, DESKS, LOGS, OPENAPI, STREAM, VIEWS, show_page_part
from innkeeper.http.api.routes import ROUTES
from innkeeper.http.api.subscribers import SERVICES
from innkeeper.http.keys import Keys, require
from innkeeper.http.live_stream import LiveStream
from innkeeper.http.metrics import Metrics
from innkeeper.http.origin_check import HostPolicy, check_origins
from innkeeper.http.problems import METRICS, guard
from innkeeper.protocol.ports.message_bus import CommitStream, MessageBus, Services
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.ports.views import Views
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.limits import body_bytes_max


def make_app(
    desks: Mapping[str, MessageBus],
    sources: Mapping[str, CommitStream],
    logs: Mapping[str, EventLog],
    views: Views,
    services: Services,
    keys: Keys | None = None,
    providers: Collection[str] = (),
    hosts: HostPolicy | None = None,
) -> web.Application:
    """The gateway before the desks, sources and logs of all contexts, the read models of reservations, and the services
    that listen; without `keys` all may ask. `providers` are those that can be asked for a payment. `hosts` are the
    names that requests may be made to; without it those of this machine alone."""
    desk = desks[RESERVATIONS]
    app = web.Application(
        middlewares=[guard, check_origins(hosts or HostPolicy()), require(keys)], client_max_size=body_bytes_max
    )
    app[DESKS] = desks
    app[DESK] = desk
    app[VIEWS] = views
    app[LOGS] = logs
    app[SERVICES] = services
    app[PROVIDERS] = frozenset(providers)
    app[OPENAPI] = openapi.document()
    app[ASYNCAPI] = asyncapi.document()
    app[STREAM] = LiveStream(sources, logs)
    app[METRICS] = Metrics(desk, app[STREAM], services)
    app.on_shutdown.append(app[STREAM].close)
    app.add_routes(ROUTES)
    app.router.add_get("/pages/{part}", show_page_part, allow_head=False)
    return app
