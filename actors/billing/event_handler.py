"""Sends each event of reservations to its hotel's ledger as a command, in order.

The ledger has a journal of its own, so its effects cannot be written together with the cursor. They need not be: a
ledger records how far it has applied events, and an event that it receives again changes nothing.
"""

import asyncio
from collections.abc import Sequence

from innkeeper.actors.billing.rules.reservation_events import BILLING_RULES
from innkeeper.protocol.billing.commands import ApplyReservationEvent
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.subscriptions import Effects, check_available, no_effects

BILLING_EVENT_TYPES = wire.type_names(BILLING_RULES.handles)
"""What billing subscribes to, in the log of reservations."""


class BillingEventHandler:
    """Handles the events of reservations by sending them to the message bus of billing."""

    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `EventHandler`."""
        results, previous = [], dict[str, int]()
        for _, record in entries:
            command = ApplyReservationEvent(record.hotel, record, previous.get(record.hotel, 0))
            previous[record.hotel] = record.hotel_seq
            results.append(self._bus.ask(Envelope(command, None, record.correlation, record.by)))
        for result in await asyncio.gather(*results):
            check_available(result.response)
            if isinstance(result.response, Refusal):
                raise RuntimeError(f"the ledger refused an event of reservations: {result.response}")
        return no_effects
