"""The gateway's table of contents: what it needs, what it serves, what stands before every request."""

from aiohttp import web
from innkeeper.http.handlers import DESK, OPENAPI, PAGE_HEADERS, PAGES, STREAM, VIEWS
from innkeeper.http.keys import Keys, require
from innkeeper.http.live_stream import LiveStream
from innkeeper.http.metrics import Metrics
from innkeeper.http.openapi import document
from innkeeper.http.problems import METRICS, guard
from innkeeper.http.routes import ROUTES
from innkeeper.protocol.asking import Desk
from innkeeper.protocol.limits import body_bytes_max
from innkeeper.protocol.views import Views


def make_app(desk: Desk, views: Views, keys: Keys | None = None) -> web.Application:
    """The gateway before a desk and its read models; without `keys` everyone may ask."""
    app = web.Application(middlewares=[guard, require(keys)], client_max_size=body_bytes_max)
    app[DESK] = desk
    app[VIEWS] = views
    app[OPENAPI] = document()
    app[STREAM] = LiveStream(desk, views)
    app[METRICS] = Metrics(desk, app[STREAM])
    app.on_shutdown.append(app[STREAM].close)
    app.add_routes(ROUTES)
    app.add_subapp("/pages", _page_parts())
    return app


def _page_parts() -> web.Application:
    """What the front desk's page is made of, under the same headers as the page."""

    async def put_headers(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(PAGE_HEADERS)

    parts = web.Application()
    parts.router.add_static("/", PAGES)
    parts.on_response_prepare.append(put_headers)
    return parts
