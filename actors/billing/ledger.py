"""The actor of a hotel's ledger: decides on commands and events of reservations by the rules of billing alone."""

import logging
import traceback

from innkeeper.actors.billing.rules.decisions import decide
from innkeeper.actors.billing.rules.lookups import Decision
from innkeeper.actors.billing.rules.queries import answer
from innkeeper.actors.billing.rules.state import LedgerState, evolve
from innkeeper.actors.partition.messages import (
    COMMAND_FAILED,
    CommandBatch,
    HotelFailed,
    LoadHotelState,
    PendingBatch,
)
from innkeeper.actors.system.typed_actor import TypedActor
from innkeeper.protocol.billing.commands import ApplyReservationEvent
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import ForgettingEvent
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.values.guests import guests_in, new_versions
from thespian.actors import ActorAddress

logger = logging.getLogger(__name__)


class _PreviousFailed(Exception):
    """The event of reservations that was sent just before this one was not applied."""


class LedgerActor(TypedActor):
    """The ledger of one hotel."""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""
        self.state = LedgerState()
        self._handled = 0  # the last event of reservations since this state was loaded, by its `hotel_seq`

    def load_state(self, message: LoadHotelState, _: ActorAddress) -> None:
        """Starts, or restarts, with this state."""
        self.name = message.hotel
        self.state = message.state
        self._handled = 0

    def handle_commands(self, message: CommandBatch, router: ActorAddress) -> None:
        """Handles the commands and queries of a batch, one after the other."""
        batch = PendingBatch(self.name)
        for envelope in message.envelopes:
            try:
                decision = self._decide(envelope)
            except Refused as refused:
                batch.responses[envelope.id] = refused.refusal
                continue
            except _PreviousFailed:
                batch.responses[envelope.id] = COMMAND_FAILED
                continue
            except Exception:
                logger.exception("the ledger of %s cannot carry out a command; nothing was changed", self.name)
                batch.responses[envelope.id] = COMMAND_FAILED
                continue
            try:
                batch.responses[envelope.id] = self._apply(decision, envelope, batch)
            except Exception:
                self.send(router, HotelFailed(self.name, traceback.format_exc()))
                return
        batch.is_open = self.state.ledger is not None
        self.send(router, batch)

    def _decide(self, envelope: Envelope) -> Decision | Reply:
        if isinstance(envelope.message, Query):
            return answer(self.state, envelope.message)
        message = envelope.message
        if isinstance(message, ApplyReservationEvent) and message.previous not in (0, self._handled):
            raise _PreviousFailed
        decision = decide(self.state, message, envelope)
        for event in decision.events:
            wire.encode_fields(event)  # what cannot be encoded would fail its whole batch
        return decision

    def _apply(self, decision: Decision | Reply, envelope: Envelope, batch: PendingBatch) -> Reply:
        if isinstance(decision, Reply):
            return decision
        cause = decision.cause or envelope.id
        buyers = (buyer for event in decision.events for buyer in guests_in(event))
        batch.guests.update(new_versions(self.name, buyers, self.state.seq, envelope.salt))
        batch.forgotten.update(event.guest for event in decision.events if isinstance(event, ForgettingEvent))
        for seq, event in enumerate(decision.events, self.state.seq + 1):
            record = RecordedEvent(self.name, seq, envelope.at, envelope.by, envelope.correlation, cause, event)
            evolve(self.state, record)
            batch.records.append(record)
        if isinstance(envelope.message, ApplyReservationEvent):
            self._handled = envelope.message.record.hotel_seq
        return decision.reply(self.state)


LedgerActor.handles = {LoadHotelState: LedgerActor.load_state, CommandBatch: LedgerActor.handle_commands}
