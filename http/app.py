"""Composes the gateway: its dependencies, its routes, and its middleware."""

from collections.abc import Collection, Mapping
from typing import Protocol

from aiohttp import web
from innkeeper.http.api import asyncapi, openapi
from innkeeper.http.api.billing import PROVIDERS
from innkeeper.http.api.documents import DOCUMENTS
from innkeeper.http.api.parsing import READ_ARRIVING
from innkeeper.http.api.reservations import (
    ASYNCAPI,
    BUSES,
    LOGS,
    OPENAPI,
    RESERVATIONS_BUS,
    SILENT_PARTS,
    SIMULATED_CLOCKS,
    STREAM,
    VIEWS,
    show_page_part,
)
from innkeeper.http.api.routing import ROUTES
from innkeeper.http.api.subscribers import SERVICES
from innkeeper.http.arriving_bodies import ArrivingBodies
from innkeeper.http.documents.renderer import DocumentRenderer
from innkeeper.http.keys import ApiKeys
from innkeeper.http.live_stream import LiveStream
from innkeeper.http.metrics import Metrics
from innkeeper.http.middleware import METRICS, HostPolicy, handle_requests
from innkeeper.protocol.ports.message_bus import CommitStream, MessageBus, Services
from innkeeper.protocol.ports.subscriptions import RecentLog
from innkeeper.protocol.ports.views import Views
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.installation import Installation
from innkeeper.protocol.values.limits import body_bytes_max


class GatewayPorts(Protocol):
    """The ports of all parts."""

    @property
    def installation(self) -> Installation:
        """The installation to which they belong."""

    @property
    def buses(self) -> Mapping[str, MessageBus]:
        """The message bus of each context."""

    @property
    def streams(self) -> Mapping[str, CommitStream]:
        """The commits of each log."""

    @property
    def logs(self) -> Mapping[str, RecentLog]:
        """The events of each log."""

    @property
    def views(self) -> Views:
        """The read models of reservations."""

    @property
    def services(self) -> Services:
        """Billing, notifications and delivery, as they answer messages."""

    def silent(self) -> list[str]:
        """The names of the parts of other processes that do not run or do not answer now."""


def make_app(
    ports: GatewayPorts,
    providers: Collection[str] = (),
    keys: ApiKeys | None = None,
    hosts: HostPolicy | None = None,
    simulated_clocks: bool = False,
) -> web.Application:
    """The gateway to all parts. `providers` are the available payment providers. Without `keys` every client has
    access. `hosts` are the host names that requests may be made to; by default only loopback names. With
    `simulated_clocks` hotels may be opened whose clock is simulated."""
    buses, services = ports.buses, ports.services
    bus = buses[RESERVATIONS]
    stream = LiveStream(ports.streams, ports.logs)
    bodies = ArrivingBodies()
    metrics = Metrics(bus, stream, services, ports.silent)
    handle_request = handle_requests(hosts or HostPolicy(), keys, metrics)
    app = web.Application(middlewares=[handle_request], client_max_size=body_bytes_max)
    app[BUSES] = buses
    app[RESERVATIONS_BUS] = bus
    app[VIEWS] = ports.views
    app[LOGS] = ports.logs
    app[SERVICES] = services
    app[SILENT_PARTS] = ports.silent
    app[SIMULATED_CLOCKS] = simulated_clocks
    app[PROVIDERS] = frozenset(providers)
    app[DOCUMENTS] = DocumentRenderer()
    app[OPENAPI] = openapi.document()
    app[ASYNCAPI] = asyncapi.document(ports.installation)
    app[STREAM] = stream
    app[METRICS] = metrics
    app[READ_ARRIVING] = bodies.read
    app.on_shutdown.append(app[STREAM].close)
    app.on_shutdown.append(bodies.stop)
    app.add_routes(ROUTES)
    app.router.add_get("/pages/{part}", show_page_part, allow_head=False)
    return app
