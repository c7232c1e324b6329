"""How billing listens: each event of reservations goes to its hotel's ledger as a message, in order.

The ledger has a journal of its own, so its effects cannot be written together with the cursor. It need not: a ledger
knows how far it has heard, and hearing of something again changes nothing.
"""

import asyncio
from collections.abc import Sequence

from innkeeper.actors.host import HOTEL_FAULT
from innkeeper.protocol.asking import Asked, Desk
from innkeeper.protocol.billing_commands import HearOf
from innkeeper.protocol.record import Entry
from innkeeper.protocol.refusals import Refusal, Unavailable
from innkeeper.protocol.subscribing import Keep, Stalled

TYPES = ("innkeeper.hotel.*", "innkeeper.booking.*", "innkeeper.business_date.*")
"""What billing subscribes to, in the log of reservations."""


class Biller:
    """Takes in what happens in reservations, before billing's own desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def take_in(self, entries: Sequence[Entry]) -> Keep:
        """See `protocol.subscribing.Handle`."""
        heard = (
            self._desk.ask(Asked(HearOf(record.hotel, record), None, record.correlation, record.by))
            for _, record in entries
        )
        for answer in await asyncio.gather(*heard):
            if isinstance(answer.answer, Unavailable) and answer.answer.reason != HOTEL_FAULT:
                raise Stalled(answer.answer.reason)
            if isinstance(answer.answer, Refusal):
                raise RuntimeError(f"the ledger could not hear of it: {answer.answer}")
        return _kept


def _kept() -> None:
    return
