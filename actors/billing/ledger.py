"""The actor of a hotel's ledger: decides on commands and events of reservations by the rules of billing alone."""

import traceback

from innkeeper.actors.billing.rules.decisions import decide
from innkeeper.actors.billing.rules.queries import answer
from innkeeper.actors.billing.rules.state import LedgerState, evolve
from innkeeper.actors.partition.messages import CommandBatch, HotelFailed, LoadHotelState, PendingBatch
from innkeeper.actors.system.typed_actor import TypedActor
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.messages.reply import Reply
from thespian.actors import ActorAddress


class LedgerActor(TypedActor):
    """The ledger of one hotel."""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""
        self.state = LedgerState()

    def load_state(self, message: LoadHotelState, _: ActorAddress) -> None:
        """Starts, or restarts, with the state from the journal."""
        self.name = message.hotel
        self.state = message.state or LedgerState()

    def handle_commands(self, message: CommandBatch, router: ActorAddress) -> None:
        """Handles the commands and queries of a batch, one after the other."""
        batch = PendingBatch(self.name)
        try:
            for envelope in message.envelopes:
                try:
                    batch.responses[envelope.id] = self._carry_out(envelope, batch.records)
                except Refused as refused:
                    batch.responses[envelope.id] = refused.refusal
        except Exception:
            self.send(router, HotelFailed(self.name, traceback.format_exc()))
            return
        batch.is_open = self.state.ledger is not None
        self.send(router, batch)

    def _carry_out(self, envelope: Envelope, records: list[RecordedEvent]) -> Reply:
        message = envelope.message
        if isinstance(message, Query):
            return answer(self.state, message)
        decision = decide(self.state, message, envelope)
        cause = decision.cause or envelope.id
        for seq, event in enumerate(decision.events, self.state.seq + 1):
            record = RecordedEvent(self.name, seq, envelope.at, envelope.by, envelope.correlation, cause, event)
            evolve(self.state, record)
            records.append(record)
        return decision.reply(self.state)


LedgerActor.handles = {LoadHotelState: LedgerActor.load_state, CommandBatch: LedgerActor.handle_commands}
