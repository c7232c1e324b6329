"""A hotel's ledger: it hears of reservations and of those who pay, decides by the rules of billing, and asks nobody."""

import traceback

from innkeeper.actors.actor import HouseActor
from innkeeper.actors.desk import DeskActor
from innkeeper.actors.messages import Furnish, HotelBroken, Order, Orders, OrdersDone, Outcome
from innkeeper.actors.rules.billing.answers import answer
from innkeeper.actors.rules.billing.decisions import decide
from innkeeper.actors.rules.billing.state import LedgerState, describe, evolve, restore
from innkeeper.actors.rules.decisions import Stamp
from innkeeper.actors.trade import Trade
from innkeeper.protocol.billing_commands import HearOf
from innkeeper.protocol.billing_queries import DescribeLedger
from innkeeper.protocol.billing_replies import LedgerStateReply
from innkeeper.protocol.queries import Query
from innkeeper.protocol.record import Recorded
from innkeeper.protocol.refusals import Refused
from innkeeper.protocol.replies import Reply
from thespian.actors import ActorAddress


class LedgerActor(HouseActor):
    """The books of one hotel."""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""
        self.state = LedgerState()

    def furnish(self, message: Furnish, _: ActorAddress) -> None:
        """Begin, or begin again, as the journal tells it."""
        self.name = message.hotel
        self.state = message.state or LedgerState()

    def orders(self, message: Orders, desk: ActorAddress) -> None:
        """A new share of work, one after the other."""
        outcomes: list[Outcome] = []
        records: list[Recorded] = []
        try:
            for order in message.orders:
                try:
                    outcomes.append(Outcome(order.number, self._carry_out(order, records)))
                except Refused as refused:
                    outcomes.append(Outcome(order.number, refused.refusal))
        except Exception:
            self.send(desk, HotelBroken(self.name, traceback.format_exc()))
            return
        is_open = self.state.ledger is not None
        self.send(desk, OrdersDone(self.name, tuple(outcomes), tuple(records), None, is_open))

    def _carry_out(self, order: Order, records: list[Recorded]) -> Reply:
        if isinstance(order.message, Query):
            return answer(self.state, order.message)
        decision = decide(self.state, order.message, Stamp(order.at, order.id, order.if_version))
        cause = decision.cause or order.id
        for seq, event in enumerate(decision.events, self.state.seq + 1):
            record = Recorded(self.name, seq, order.at, order.by, order.correlation, cause, event)
            evolve(self.state, record)
            records.append(record)
        return decision.reply(self.state)


LedgerActor.handles = {Furnish: LedgerActor.furnish, Orders: LedgerActor.orders}


class BackOfficeActor(DeskActor):
    """The desk of billing: a hotel's ledger is opened by hearing of the hotel."""

    kind = LedgerActor
    opens = HearOf


BILLING_TRADE = Trade(
    desk=BackOfficeActor,
    begin=LedgerState,
    evolve=evolve,
    describe=describe,
    restore=restore,
    is_open=lambda state: state.ledger is not None,
    ask=DescribeLedger,
    described=LedgerStateReply,
)
"""Guests are billed."""
