"""The gateway's table of contents: what it needs, what it serves, what stands before every request."""

from aiohttp import web
from innkeeper.http.handlers import DESK, OPENAPI, STREAM, VIEWS, show_page_part
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
    app.router.add_get("/pages/{part}", show_page_part, allow_head=False)
    return app
