"""The router of a partition: sends each hotel its share of a batch, and collects what the hotels have done."""

import logging
from collections.abc import Callable
from typing import Any, ClassVar

from innkeeper.actors.partition.messages import (
    CommandBatch,
    HotelFailed,
    HotelStateLoaded,
    LoadHotelState,
    PendingBatch,
    StartRouter,
)
from innkeeper.actors.system.typed_actor import TypedActor
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
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
        self.begin: Callable[[], Any] | None = None
        self.host: ActorAddress | None = None
        self.pending: set[str] = set()
        self.batch = PendingBatch()

    def start(self, message: StartRouter, _: ActorAddress) -> None:
        """Gets what it needs to open new hotels."""
        self.begin = message.begin

    def handle_batch(self, message: CommandBatch, host: ActorAddress) -> None:
        """Sends each hotel its share of the commands, and an empty share to hotels with nothing but due work."""
        self.host, self.batch = host, PendingBatch()
        shares: dict[str, list[Envelope]] = {}
        for hotel, due_at in self.due_times.items():
            if due_at <= message.at:
                shares[hotel] = []
        for envelope in message.envelopes:
            hotel = envelope.message.hotel
            if hotel not in self.hotels and isinstance(envelope.message, self.opening_command):
                assert self.begin is not None
                self._open(LoadHotelState(hotel, self.begin()))
            if hotel in self.hotels:
                shares.setdefault(hotel, []).append(envelope)
            else:
                self.batch.responses[envelope.id] = NotFound("hotel", hotel)
        self.pending = set(shares)
        for hotel, envelopes in shares.items():
            self.send(self.hotels[hotel], CommandBatch(message.at, tuple(envelopes), message.server))
        self._report_when_done()

    def collect(self, share: PendingBatch, _: ActorAddress) -> None:
        """Collects what a hotel has done."""
        if share.hotel not in self.pending:
            return
        self.pending.discard(share.hotel)
        self.batch.responses.update(share.responses)
        self.batch.records += share.records
        self.batch.guests.update(share.guests)
        self.batch.forgotten.update(share.forgotten)
        self.batch.distrusted |= share.distrusted
        if not share.is_open:
            self._close(share.hotel)
        elif share.due_at is None:
            self.due_times.pop(share.hotel, None)
        else:
            self.due_times[share.hotel] = share.due_at
        self._report_when_done()

    def hotel_failed(self, message: HotelFailed, _: ActorAddress) -> None:
        """Closes a hotel whose own code failed; the host rebuilds it from the journal."""
        logger.error("hotel %s failed:\n%s", message.hotel, message.reason)
        self.batch.stale.add(message.hotel)
        if message.distrusted:
            self.batch.distrusted.add(message.hotel)
        self._close(message.hotel)
        if message.hotel in self.pending:
            self.pending.discard(message.hotel)
            self._report_when_done()

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

    def _report_when_done(self) -> None:
        if not self.pending:
            self.batch.due_at = min(self.due_times.values(), default=None)
            self.send(self.host, self.batch)


Router.handles = {
    StartRouter: Router.start,
    CommandBatch: Router.handle_batch,
    PendingBatch: Router.collect,
    HotelFailed: Router.hotel_failed,
    PoisonMessage: Router.actor_failed,
    LoadHotelState: Router.load_state,
}
