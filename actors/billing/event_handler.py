"""How billing listens: each event of reservations goes to its hotel's ledger as a message, in order.

The ledger has a journal of its own, so its effects cannot be written together with the cursor. It need not: a ledger
knows how far it has heard, and hearing of something again changes nothing.
"""

import asyncio
from collections.abc import Sequence

from innkeeper.actors.partition.host import HOTEL_FAULT
from innkeeper.protocol.billing.commands import ApplyReservationEvent
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refusal, Unavailable
from innkeeper.protocol.ports.message_bus import Envelope, MessageBus
from innkeeper.protocol.ports.subscriptions import Effects, Stalled

TYPES = ("innkeeper.hotel.*", "innkeeper.booking.*", "innkeeper.business_date.*")
"""What billing subscribes to, in the log of reservations."""


class BillingEventHandler:
    """Takes in what happens in reservations, before billing's own desk."""

    def __init__(self, desk: MessageBus) -> None:
        self._desk = desk

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `protocol.subscribing.Handle`."""
        heard = (
            self._desk.ask(Envelope(ApplyReservationEvent(record.hotel, record), None, record.correlation, record.by))
            for _, record in entries
        )
        for answer in await asyncio.gather(*heard):
            if isinstance(answer.answer, Unavailable) and answer.answer.reason != HOTEL_FAULT:
                raise Stalled(answer.answer.reason)
            if isinstance(answer.answer, Refusal):
                raise RuntimeError(f"the ledger could not hear of it: {answer.answer}")
        return _no_effects


def _no_effects() -> None:
    return
