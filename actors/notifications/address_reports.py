"""Reports to reservations, which owns the addresses of guests, which of them refuse letters."""

import logging

from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import Refusal, Refused, Unavailable
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.outbox import AddressReport
from innkeeper.protocol.ports.outbox import ReportAddress as ReportAddressPort
from innkeeper.protocol.ports.subscriptions import check_available
from innkeeper.protocol.reservations.commands import ReportAddress
from innkeeper.protocol.values.contexts import NOTIFICATIONS

logger = logging.getLogger(__name__)


def reporting_to(bus: MessageBus) -> ReportAddressPort:
    """Reports to the bus of reservations. A report has a key of its own, so that it counts once."""

    async def report(found: AddressReport) -> None:
        command = ReportAddress(
            found.hotel, found.guest, booking=found.booking, email=found.email, letter=found.letter, reply=found.reply
        )
        key = f"{NOTIFICATIONS}:{found.notice}:{found.reply}"
        response = (await bus.ask(Envelope(command, key, by=NOTIFICATIONS))).response
        check_available(response)
        if isinstance(response, Unavailable):
            raise Refused(response)
        if isinstance(response, Refusal):  # a guest whose booking was lost with the journal
            logger.warning("the address of a guest of %s is not marked: %r", found.booking, response)

    return report
