"""The routes of the gateway, made from the table of its operations."""

from functools import wraps

from aiohttp import web
from aiohttp.typedefs import Handler
from innkeeper.http.api.operation import Operation
from innkeeper.http.api.parsing import NoQuery, query_of
from innkeeper.http.api.routes import OPERATIONS


def _handler(operation: Operation) -> Handler:
    """The handler of an operation. One that has no query parameters refuses any, but for pages."""
    if operation.query is not None or operation.answer == "text/html":
        return operation.handler

    @wraps(operation.handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        if request.query_string:
            query_of(request, NoQuery)
        return await operation.handler(request)

    return handle


ROUTES = tuple(
    web.get(each.path, _handler(each), allow_head=False)
    if each.method == "GET"
    else web.route(each.method, each.path, _handler(each))
    for each in OPERATIONS
)
