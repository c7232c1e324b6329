"""The actor of a hotel: finishes one command before the next, and applies a decision only after the rooms accept it.

For each command: decide with the pure rules → send each affected room its claim → when all accept, evolve the state.
A room that refuses disagrees with the hotel's calendar. The others take their claims back, the hotel decides again
without that room, and afterwards it is rebuilt from its events.
"""

import logging
import traceback
from collections import deque

import msgspec
from innkeeper.actors.partition.messages import (
    COMMAND_FAILED,
    CommandBatch,
    HotelFailed,
    LoadHotelState,
    PendingBatch,
)
from innkeeper.actors.reservations.messages import (
    Claim,
    ClaimDone,
    ClaimRefused,
    DescribeRoom,
    OpenRoom,
    RoomDescribed,
    TakeBack,
)
from innkeeper.actors.reservations.room import RoomActor
from innkeeper.actors.reservations.rules.decisions import Decision, decide, decide_due
from innkeeper.actors.reservations.rules.preview import preview
from innkeeper.actors.reservations.rules.queries import answer
from innkeeper.actors.reservations.rules.state import HotelState, evolve
from innkeeper.actors.system.typed_actor import TypedActor
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import Refusal, Refused
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations.commands import RollBusinessDate
from innkeeper.protocol.reservations.replies import HotelStateReply, RoomStays
from innkeeper.protocol.values.instants import instant
from thespian.actors import ActorAddress, PoisonMessage

logger = logging.getLogger(__name__)

_DUE_AGAIN_MICROSECONDS = 60_000_000


class HotelActor(TypedActor):
    """One hotel."""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""
        self.state = HotelState()
        self.rooms: dict[str, ActorAddress] = {}
        self.due_again_at = 0
        self._begin_batch(None, CommandBatch(0, ()))

    def _begin_batch(self, router: ActorAddress | None, batch: CommandBatch) -> None:
        self.router = router
        self.at = batch.at
        self.waiting: deque[Envelope] = deque(batch.envelopes)
        self.batch = PendingBatch(self.name)
        self.state.server = batch.server
        self.state.closed_now = ()
        self.decision: Decision | None = None
        self.description: HotelStateReply | None = None
        self.room_stays: list[RoomStays] = []
        self.rooms_to_answer = 0
        self.refusals: list[ClaimRefused] = []
        self.state.refused_rooms = frozenset()
        self.state.just_given.clear()
        self.state.just_forgotten.clear()

    def load_state(self, message: LoadHotelState, _: ActorAddress) -> None:
        """Starts, or restarts, with this state."""
        self.name = message.hotel
        self.state = message.state

    def handle_commands(self, message: CommandBatch, router: ActorAddress) -> None:
        """Handles this hotel's share of a batch; the router sends the next share only after this one is done."""
        self._begin_batch(router, message)
        self._run()

    def room_answered(self, message: ClaimDone | ClaimRefused | RoomDescribed, _: ActorAddress) -> None:
        """A room has accepted or refused its claim, or said what it holds."""
        if isinstance(message, ClaimRefused):
            self.refusals.append(message)
        elif isinstance(message, RoomDescribed):
            self.room_stays.append(message.stays)
        self.rooms_to_answer -= 1
        if self.rooms_to_answer == 0:
            self._run()

    def room_failed(self, message: PoisonMessage, _: ActorAddress) -> None:
        """A room has failed, and with it this hotel."""
        self._fail(str(message.details))

    def _fail(self, reason: str) -> None:
        router, distrusted = self.router, bool(self.refusals or self.batch.distrusted)
        self._begin_batch(None, CommandBatch(0, ()))
        if router is not None:
            self.send(router, HotelFailed(self.name, reason, distrusted))

    def _run(self) -> None:
        """Runs due work and commands until rooms must answer, or nothing is left."""
        try:
            while not self.rooms_to_answer:
                due_at = self.state.due_at()
                if self.decision is not None:
                    self._finish(self.decision)
                elif self.description is not None:
                    self._describe(self.description)
                elif self.state.closed_now:
                    self._carry_out(self.waiting[0])  # the audit closes the next date
                elif due_at is not None and self._is_due(due_at):
                    self._do_what_is_due()
                elif self.waiting:
                    self._carry_out(self.waiting[0])
                else:
                    self.batch.due_at = None if due_at is None else max(due_at, self.due_again_at)
                    self.batch.is_open = self.state.hotel is not None
                    self.send(self.router, self.batch)
                    return
        except Exception:
            self._fail(traceback.format_exc())

    def _is_due(self, due_at: int) -> bool:
        return max(due_at, self.due_again_at) <= self.at and not self._is_closed_by_hand(due_at)

    def _do_what_is_due(self) -> None:
        """Decides on what is due without a command. Where that fails, commands go on, and it is tried again later."""
        audit_at = self.state.audit_at
        try:
            decision = decide_due(self.state, self.at)
        except Exception:
            logger.exception("hotel %s cannot do what is due; it is tried again in a minute", self.name)
            self.due_again_at = self.at + _DUE_AGAIN_MICROSECONDS
            return
        self._ask_rooms(decision)
        if self.state.audit_at != audit_at:
            self._log_wait()

    def _log_wait(self) -> None:
        """Says until when the audit waits that is due. While the clock is in doubt, that was said of all hotels."""
        if self.state.audit_at is not None and not self.state.server.doubt:
            today, until = self.state.opened().business_date, instant(self.state.audit_at)
            logger.warning("hotel %s: the audit of %s waits until %s, or for a person", self.name, today, until)

    def _is_closed_by_hand(self, due_at: int) -> bool:
        """Whether the automatic audit is due, but the next command is the audit: then that one is a person's."""
        next_is_audit = bool(self.waiting) and isinstance(self.waiting[0].message, RollBusinessDate)
        return next_is_audit and due_at == self.state.audit_at

    def _carry_out(self, envelope: Envelope) -> None:
        response: Decision | Reply | Refusal
        try:
            if isinstance(envelope.message, Query):
                response = answer(self.state, envelope)
            else:
                decision = decide(self.state, envelope)
                for record in decision.records:
                    wire.encode_fields(record.event)  # what cannot be encoded would fail its whole batch
                response = preview(self.state, decision) if envelope.dry_run else decision
        except Refused as refused:
            response = refused.refusal
        except Exception:
            if self.state.closed_now:
                raise  # an audit that has closed a date already: the whole batch of this hotel is taken back
            logger.exception("hotel %s cannot carry out a command; nothing was changed", self.name)
            response = COMMAND_FAILED
        if isinstance(response, Decision):
            self._ask_rooms(response)
        elif isinstance(response, HotelStateReply):
            self._ask_rooms_to_describe(response)
        else:
            self._respond(response)

    def _respond(self, response: Reply | Refusal) -> None:
        self.batch.responses[self.waiting.popleft().id] = response
        self.state.closed_now = ()
        self.state.refused_rooms = frozenset()

    def _ask_rooms(self, decision: Decision) -> None:
        """Sends each room whose nights change its events; the decision is finished when all have answered."""
        self.decision, self.refusals = decision, []
        self.rooms_to_answer = len(decision.claims)
        for room, claimed in decision.claims.items():
            today = self.state.opened().business_date.toordinal()
            self.send(self.rooms.get(room) or self._open_room(room, today), Claim(today, tuple(claimed)))

    def _open_room(self, room: str, today: int) -> ActorAddress:
        """Creates the actor of a room when it is first needed: most rooms of a chain are not needed on a given day."""
        address = self.rooms[room] = self.createActor(RoomActor)
        self.send(address, OpenRoom(self.state.room_states.take(room, today)))
        return address

    def _finish(self, decision: Decision) -> None:
        """Applies a decision that all its rooms have accepted."""
        self.decision = None
        if self.refusals:
            self._decide_again(decision)
            return
        for record, booking in zip(decision.records, decision.bookings, strict=True):
            evolve(self.state, record, booking)
        self.batch.records += decision.records
        self.batch.guests.update(decision.guests)
        for (guest, _), stored in decision.guests.items():
            self.state.just_given[guest] = stored.guest
        self.batch.forgotten.update(decision.forgotten)
        self.state.closed_now = decision.closes_next
        if decision.reply is not None and not decision.closes_next:
            self._respond(decision.reply)

    def _decide_again(self, decision: Decision) -> None:
        """Has the rooms that accepted take their claims back, and excludes those that refused."""
        refused = {refusal.room: refusal.holder for refusal in self.refusals}
        logger.error("hotel %s: its calendar and its rooms disagree; the rooms say that %s", self.name, refused)
        if decision.reply is None or self.state.refused_rooms:
            raise RuntimeError(f"rooms of hotel {self.name} hold other stays than its calendar: {refused}")
        for room in decision.claims.keys() - refused:
            self.send(self.rooms[room], TakeBack())
        self.state.refused_rooms = frozenset(refused)
        self.batch.distrusted = {self.name}

    def _ask_rooms_to_describe(self, description: HotelStateReply) -> None:
        self.description, self.room_stays = description, [*description.rooms]
        self.rooms_to_answer = len(self.rooms)
        for address in self.rooms.values():
            self.send(address, DescribeRoom(description.hotel.business_date.toordinal()))

    def _describe(self, description: HotelStateReply) -> None:
        """Responds with the description, in which each room says itself what it holds."""
        self.description = None
        rooms = sorted((room for room in self.room_stays if room.stays or room.guests), key=lambda room: room.room)
        self._respond(msgspec.structs.replace(description, rooms=tuple(rooms)))


HotelActor.handles = {
    LoadHotelState: HotelActor.load_state,
    CommandBatch: HotelActor.handle_commands,
    ClaimDone: HotelActor.room_answered,
    ClaimRefused: HotelActor.room_answered,
    RoomDescribed: HotelActor.room_answered,
    PoisonMessage: HotelActor.room_failed,
}
