"""The aggregate type of billing: the router of the ledgers, and the fold and snapshot of a ledger."""

from innkeeper.actors.billing.ledger import LedgerActor
from innkeeper.actors.billing.rules.snapshot import add_details, describe, lacking_details, restore
from innkeeper.actors.billing.rules.state import LedgerState, evolve
from innkeeper.actors.partition.aggregate_type import AggregateType
from innkeeper.actors.partition.router import Router
from innkeeper.protocol.billing.commands import ApplyReservationEvent
from innkeeper.protocol.billing.queries import DescribeLedger
from innkeeper.protocol.billing.replies import LedgerStateReply


class LedgerRouter(Router):
    """Routes commands to ledgers; the first event of a hotel creates its ledger."""

    actor_type = LedgerActor
    opening_command = ApplyReservationEvent


LEDGER = AggregateType(
    router=LedgerRouter,
    begin=LedgerState,
    evolve=evolve,
    describe=describe,
    restore=restore,
    is_open=lambda state: state.ledger is not None,
    query=DescribeLedger,
    description=LedgerStateReply,
    lacking_details=lacking_details,
    add_details=add_details,
)
"""A hotel's ledger with its folios, payments and documents."""
