"""The gateway's table of contents: what it needs, what it serves, what stands before every request."""

from aiohttp import web
from innkeeper.http.handlers import DESK, PAGES, VIEWS
from innkeeper.http.keys import Keys, require
from innkeeper.http.problems import guard
from innkeeper.http.routes import ROUTES
from innkeeper.protocol.asking import Desk
from innkeeper.protocol.limits import body_bytes_max
from innkeeper.protocol.views import Views

_SECURITY = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def make_app(desk: Desk, views: Views, keys: Keys | None = None) -> web.Application:
    """The gateway before a desk and its read models; without `keys` everyone may ask."""
    app = web.Application(middlewares=[guard, require(keys)], client_max_size=body_bytes_max)
    app[DESK] = desk
    app[VIEWS] = views
    app.add_routes(ROUTES)
    app.router.add_static("/pages", PAGES)
    app.on_response_prepare.append(_add_security)
    return app


async def _add_security(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_SECURITY)
