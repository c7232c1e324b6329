"""A hotel's ledger: it hears of reservations and of those who pay, decides by the rules of billing, and asks nobody."""

import traceback

from innkeeper.actors.billing.rules.answers import answer
from innkeeper.actors.billing.rules.decisions import decide
from innkeeper.actors.billing.rules.state import LedgerState, evolve
from innkeeper.actors.partition.messages import (
    AddressedCommand,
    HotelCommands,
    HotelCommandsDone,
    HotelFailed,
    LoadState,
    Outcome,
)
from innkeeper.actors.system.typed_actor import TypedActor
from innkeeper.protocol.messages.command_context import CommandContext
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.messages.reply import Reply
from thespian.actors import ActorAddress


class LedgerActor(TypedActor):
    """The books of one hotel."""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""
        self.state = LedgerState()

    def load_state(self, message: LoadState, _: ActorAddress) -> None:
        """Begin, or begin again, as the journal tells it."""
        self.name = message.hotel
        self.state = message.state or LedgerState()

    def orders(self, message: HotelCommands, desk: ActorAddress) -> None:
        """A new share of work, one after the other."""
        outcomes: list[Outcome] = []
        records: list[RecordedEvent] = []
        try:
            for order in message.orders:
                try:
                    outcomes.append(Outcome(order.number, self._carry_out(order, records)))
                except Refused as refused:
                    outcomes.append(Outcome(order.number, refused.refusal))
        except Exception:
            self.send(desk, HotelFailed(self.name, traceback.format_exc()))
            return
        is_open = self.state.ledger is not None
        self.send(desk, HotelCommandsDone(self.name, tuple(outcomes), tuple(records), None, is_open))

    def _carry_out(self, order: AddressedCommand, records: list[RecordedEvent]) -> Reply:
        if isinstance(order.message, Query):
            return answer(self.state, order.message)
        decision = decide(self.state, order.message, CommandContext(order.at, order.id, order.if_version))
        cause = decision.cause or order.id
        for seq, event in enumerate(decision.events, self.state.seq + 1):
            record = RecordedEvent(self.name, seq, order.at, order.by, order.correlation, cause, event)
            evolve(self.state, record)
            records.append(record)
        return decision.reply(self.state)


LedgerActor.handles = {LoadState: LedgerActor.load_state, HotelCommands: LedgerActor.orders}
