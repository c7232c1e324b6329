"""Renders documents beside the event loop, one at a time: Typst takes a core for tens of milliseconds, and lets the
interpreter's other threads run meanwhile."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from innkeeper.protocol.billing.folio import Invoice
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.values.limits import documents_waiting_max

T = TypeVar("T")


class DocumentRenderer:
    """Renders one document at a time, in the order of the requests. Refuses one where too many wait."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def render(self, render: Callable[[Invoice], T], invoice: Invoice) -> T:
        """What `render` returns, which is called in a thread. Where the caller is gone meanwhile, it is finished all
        the same, and the next one waits for it."""
        if self._waiting >= documents_waiting_max:
            raise Refused(Unavailable(f"{documents_waiting_max} documents wait to be rendered"))
        self._waiting += 1
        return await asyncio.shield(asyncio.ensure_future(self._in_turn(render, invoice)))

    async def _in_turn(self, render: Callable[[Invoice], T], invoice: Invoice) -> T:
        try:
            async with self._turn:
                return await asyncio.to_thread(render, invoice)
        finally:
            self._waiting -= 1
