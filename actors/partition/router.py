"""The router of a partition: sends each command to the actor of its hotel, and collects the outcomes of a batch."""

import logging
from typing import ClassVar

from innkeeper.actors.partition.messages import (
    AddressedCommand,
    CommandBatch,
    CommandBatchDone,
    CommandOutcome,
    HotelCommands,
    HotelCommandsDone,
    HotelFailed,
    HotelStateLoaded,
    LoadHotelState,
)
from innkeeper.actors.system.typed_actor import TypedActor
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import NotFound
from thespian.actors import ActorAddress, ActorExitRequest, PoisonMessage

logger = logging.getLogger(__name__)


class Router(TypedActor):
    """Holds the address of each hotel's actor and when the hotel is due next. Subclasses set `actor_type`, the class of
    the actors, and `opening_command`, the class of the command that creates a new one."""

    actor_type: ClassVar[type[TypedActor]]
    opening_command: ClassVar[type[Command]]

    def __init__(self) -> None:
        super().__init__()
        self.hotels: dict[str, ActorAddress] = {}
        self.due_times: dict[str, int] = {}
        self.host: ActorAddress | None = None
        self.pending: set[str] = set()
        self.outcomes: list[CommandOutcome] = []
        self.records: list[RecordedEvent] = []
        self.failed_hotels: dict[str, str] = {}

    def batch(self, message: CommandBatch, host: ActorAddress) -> None:
        """Sends each hotel its share of the commands, and an empty share to hotels with nothing but due work."""
        self.host = host
        self.outcomes, self.records, self.failed_hotels = [], [], {}
        shares: dict[str, list[AddressedCommand]] = {
            hotel: [] for hotel, at in self.due_times.items() if at <= message.at
        }
        for command in message.commands:
            hotel = command.message.hotel
            if hotel not in self.hotels and isinstance(command.message, self.opening_command):
                self._open(LoadHotelState(hotel, None))
            if hotel in self.hotels:
                shares.setdefault(hotel, []).append(command)
            else:
                self.outcomes.append(CommandOutcome(command.number, NotFound("hotel", hotel)))
        self.pending = set(shares)
        for hotel, commands in shares.items():
            self.send(self.hotels[hotel], HotelCommands(message.at, tuple(commands)))
        self._report_when_done()

    def commands_done(self, message: HotelCommandsDone, _: ActorAddress) -> None:
        """Collects what a hotel has done."""
        if message.hotel not in self.pending:
            return
        self.outcomes.extend(message.outcomes)
        self.records.extend(message.records)
        if message.is_open:
            self._note_due(message.hotel, message.due_at)
        else:
            self._close(message.hotel)
        self._done(message.hotel)

    def hotel_failed(self, message: HotelFailed, _: ActorAddress) -> None:
        """Closes a hotel whose own code failed; the host rebuilds it from the journal."""
        logger.error("hotel %s failed:\n%s", message.hotel, message.reason)
        self.failed_hotels[message.hotel] = message.reason
        self._close(message.hotel)
        self._done(message.hotel)

    def actor_failed(self, message: PoisonMessage, sender: ActorAddress) -> None:
        """Handles the failure of a hotel that could not report it itself."""
        for hotel, address in list(self.hotels.items()):
            if address == sender:
                self.hotel_failed(HotelFailed(hotel, str(message.details)), sender)

    def load_state(self, message: LoadHotelState, host: ActorAddress) -> None:
        """Opens, replaces or closes the actor of a hotel."""
        self._close(message.hotel)
        if message.state is not None:
            self._open(message)
        self.send(host, HotelStateLoaded())

    def _open(self, message: LoadHotelState) -> None:
        address = self.hotels[message.hotel] = self.createActor(self.actor_type)
        self.due_times[message.hotel] = 0  # not known yet: the next batch includes this hotel
        self.send(address, message)

    def _close(self, hotel: str) -> None:
        self.due_times.pop(hotel, None)
        address = self.hotels.pop(hotel, None)
        if address is not None:
            self.send(address, ActorExitRequest())

    def _note_due(self, hotel: str, at: int | None) -> None:
        if at is None:
            self.due_times.pop(hotel, None)
        else:
            self.due_times[hotel] = at

    def _done(self, hotel: str) -> None:
        if hotel in self.pending:
            self.pending.discard(hotel)
            self._report_when_done()

    def _report_when_done(self) -> None:
        if not self.pending:
            due_at = min(self.due_times.values(), default=None)
            self.send(
                self.host, CommandBatchDone(tuple(self.outcomes), tuple(self.records), self.failed_hotels, due_at)
            )


Router.handles = {
    CommandBatch: Router.batch,
    HotelCommandsDone: Router.commands_done,
    HotelFailed: Router.hotel_failed,
    PoisonMessage: Router.actor_failed,
    LoadHotelState: Router.load_state,
}
