"""The actor of a hotel's ledger: decides on commands and events of reservations by the rules of billing alone."""

import traceback

from innkeeper.actors.billing.rules.decisions import decide
from innkeeper.actors.billing.rules.queries import answer
from innkeeper.actors.billing.rules.state import LedgerState, evolve
from innkeeper.actors.partition.messages import (
    AddressedCommand,
    CommandOutcome,
    HotelCommands,
    HotelCommandsDone,
    HotelFailed,
    LoadHotelState,
)
from innkeeper.actors.system.typed_actor import TypedActor
from innkeeper.protocol.messages.command_context import CommandContext
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

    def handle_commands(self, message: HotelCommands, router: ActorAddress) -> None:
        """Handles the commands and queries of a batch, one after the other."""
        outcomes: list[CommandOutcome] = []
        records: list[RecordedEvent] = []
        try:
            for command in message.commands:
                try:
                    outcomes.append(CommandOutcome(command.number, self._carry_out(command, records)))
                except Refused as refused:
                    outcomes.append(CommandOutcome(command.number, refused.refusal))
        except Exception:
            self.send(router, HotelFailed(self.name, traceback.format_exc()))
            return
        is_open = self.state.ledger is not None
        self.send(router, HotelCommandsDone(self.name, tuple(outcomes), tuple(records), None, is_open))

    def _carry_out(self, command: AddressedCommand, records: list[RecordedEvent]) -> Reply:
        if isinstance(command.message, Query):
            return answer(self.state, command.message)
        decision = decide(self.state, command.message, CommandContext(command.at, command.id, command.if_version))
        cause = decision.cause or command.id
        for seq, event in enumerate(decision.events, self.state.seq + 1):
            record = RecordedEvent(self.name, seq, command.at, command.by, command.correlation, cause, event)
            evolve(self.state, record)
            records.append(record)
        return decision.reply(self.state)


LedgerActor.handles = {LoadHotelState: LedgerActor.load_state, HotelCommands: LedgerActor.handle_commands}
