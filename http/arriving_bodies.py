"""The bodies of requests that are still arriving: each has a time limit, and a gateway that stops waits for none."""

import asyncio

from aiohttp import web
from innkeeper.http.api.parsing import RequestRejected
from innkeeper.http.api.reservations import RefusedResponse
from innkeeper.http.problem_codes import BODY_TIMEOUT, HUNG_UP
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.values import limits


class ArrivingBodies:
    """Reads bodies, of which more is to arrive, in one event loop."""

    def __init__(self) -> None:
        self._timeouts: set[asyncio.Timeout] = set()
        self._stopping = False

    async def read(self, request: web.Request) -> bytes:
        """Returns the whole body. Raises RequestRejected where it does not arrive in time, and `Refused` where the
        gateway stops before."""
        try:
            async with asyncio.timeout(0 if self._stopping else limits.body_seconds_max) as timeout:
                self._timeouts.add(timeout)
                try:
                    return await request.read()
                finally:
                    self._timeouts.discard(timeout)
        except TimeoutError:
            if self._stopping:
                raise RefusedResponse(Unavailable("the server is stopping"), {"Connection": "close"}) from None
            detail = f"the body did not arrive in {limits.body_seconds_max} s"
            raise RequestRejected(BODY_TIMEOUT, detail) from None
        except ConnectionError:
            detail = "the connection was closed before the whole body had arrived"
            raise RequestRejected(HUNG_UP, detail) from None

    async def stop(self, _: web.Application) -> None:
        """Refuses the requests whose bodies are arriving."""
        self._stopping = True
        for timeout in self._timeouts:
            timeout.reschedule(asyncio.get_running_loop().time())
