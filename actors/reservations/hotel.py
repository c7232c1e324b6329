"""The actor of a hotel: finishes one command before the next, and applies a decision only after the rooms accept it.

For each command: decide with the pure rules → send each affected room its claim → when all accept, evolve the state.
When a room refuses, the others undo their claims, and the hotel decides again without the room that refused.
"""

import logging
import traceback
from collections import deque
from collections.abc import Callable

from innkeeper.actors.partition.messages import (
    AddressedCommand,
    CommandOutcome,
    HotelCommands,
    HotelCommandsDone,
    HotelFailed,
    LoadHotelState,
)
from innkeeper.actors.reservations.messages import Claim, ClaimDone, ClaimRefused, OpenRoom
from innkeeper.actors.reservations.room import RoomActor
from innkeeper.actors.reservations.rules.claims import RoomChange, held_by, preview, room_changes
from innkeeper.actors.reservations.rules.decisions import Decision, decide
from innkeeper.actors.reservations.rules.night_audit import due_at, due_events
from innkeeper.actors.reservations.rules.queries import answer
from innkeeper.actors.reservations.rules.state import HotelState, evolve
from innkeeper.actors.reservations.rules.waitlist import offered_to
from innkeeper.actors.system.typed_actor import TypedActor
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.command_context import CommandContext
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations.booking import Booking
from thespian.actors import ActorAddress, PoisonMessage

logger = logging.getLogger(__name__)


class PendingDecision:
    """A decision that waits for its rooms. `command` is None for what is due without a command."""

    def __init__(
        self, command: AddressedCommand | None, decision: Decision, records: tuple[RecordedEvent, ...]
    ) -> None:
        self.command = command
        self.decision = decision
        self.records = records
        self.previewed: list[Booking | None] = [None] * len(records)
        self.changes: dict[str, RoomChange] = {}
        self.done: list[str] = []
        self.refused: list[str] = []


class HotelActor(TypedActor):
    """One hotel."""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""
        self.state = HotelState()
        self.rooms: dict[str, ActorAddress] = {}
        self._forget_batch()

    def _forget_batch(self) -> None:
        self.router: ActorAddress | None = None
        self.at = 0
        self.waiting: deque[AddressedCommand] = deque()
        self.outcomes: list[CommandOutcome] = []
        self.records: list[RecordedEvent] = []
        self.step: PendingDecision | None = None
        self.excluded_rooms: frozenset[str] = frozenset()
        self.undoing = False

    def load_state(self, message: LoadHotelState, _: ActorAddress) -> None:
        """Starts, or restarts, with the state from the journal."""
        self.name = message.hotel
        self.state = message.state or HotelState()

    def handle_commands(self, message: HotelCommands, router: ActorAddress) -> None:
        """Handles this hotel's share of a batch; the router sends the next share only after this one is done."""
        self._forget_batch()
        self.router, self.at = router, message.at
        self.waiting.extend(message.commands)
        self._guarded(self._run)

    def claim_done(self, message: ClaimDone, _: ActorAddress) -> None:
        """A room has accepted its claim."""
        if self.step is not None:
            self.step.done.append(message.room)
            self._guarded(self._continue_when_answered)

    def claim_refused(self, message: ClaimRefused, _: ActorAddress) -> None:
        """A room has refused its claim."""
        if self.step is not None:
            self.step.refused.append(message.room)
            self._guarded(self._continue_when_answered)

    def room_failed(self, message: PoisonMessage, _: ActorAddress) -> None:
        """A room has failed, and with it this hotel."""
        self._broken(str(message.details))

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            self._broken(traceback.format_exc())

    def _broken(self, reason: str) -> None:
        router = self.router
        self._forget_batch()
        if router is not None:
            self.send(router, HotelFailed(self.name, reason))

    def _run(self) -> None:
        """Runs due work and commands until rooms must reply, or nothing is left."""
        while self.step is None:
            due = due_at(self.state)
            if due is not None and due <= self.at:
                self._take_step(None, Decision(due_events(self.state, self.at), _no_reply))
            elif self.waiting:
                self._carry_out(self.waiting[0])
            else:
                self._report()
                return

    def _carry_out(self, command: AddressedCommand) -> None:
        try:
            if isinstance(command.message, Query):
                self.outcomes.append(CommandOutcome(command.number, answer(self.state, command.message)))
                self.waiting.popleft()
            else:
                self._take_step(command, self._decide(command, command.message))
        except Refused as refused:
            self.outcomes.append(CommandOutcome(command.number, refused.refusal))
            self.waiting.popleft()
            self.excluded_rooms = frozenset()

    def _decide(self, addressed: AddressedCommand, command: Command) -> Decision:
        return decide(
            self.state, command, CommandContext(addressed.at, addressed.id, addressed.if_version, self.excluded_rooms)
        )

    def _take_step(self, command: AddressedCommand | None, decision: Decision) -> None:
        step = PendingDecision(command, decision, self._recorded(command, decision.events))
        if self.state.hotel is not None:
            step.previewed = preview(self.state, step.records)
            step.changes = room_changes(self.state, step.previewed)
        if not step.changes:
            self._finish(step)
            return
        self.step = step
        for room, change in step.changes.items():
            self._ask_room(room, change.releases, change.claims)

    def _recorded(self, command: AddressedCommand | None, events: tuple[Event, ...]) -> tuple[RecordedEvent, ...]:
        seq, records = self.state.seq, []
        cause = offered_to(events) if command is None else command.id
        for event in events:
            seq += 1
            if command is None:
                records.append(RecordedEvent(self.name, seq, self.at, "system", "", cause, event))
            else:
                records.append(RecordedEvent(self.name, seq, command.at, command.by, command.correlation, cause, event))
        return tuple(records)

    def _ask_room(self, room: str, gives: list[str], takes: list[tuple[int, int, str]]) -> None:
        address = self.rooms.get(room) or self._open_room(room)
        today = self.state.opened().business_date.toordinal()
        self.send(address, Claim(today, tuple(gives), tuple(takes)))

    def _open_room(self, room: str) -> ActorAddress:
        """Creates the actor of a room when it is first needed: most rooms of a chain are not needed on a given day."""
        kind, position = self.state.rooms[room]
        address = self.rooms[room] = self.createActor(RoomActor)
        today = self.state.opened().business_date.toordinal()
        self.send(address, OpenRoom(room, today, tuple(self.state.calendars[kind].stays[position])))
        return address

    def _continue_when_answered(self) -> None:
        step = self.step
        assert step is not None
        if len(step.done) + len(step.refused) < len(step.changes):
            return
        self.step = None
        if self.undoing:
            self.undoing = False
        elif step.refused:
            self._decide_again(step)
        else:
            self._finish(step)
        self._run()

    def _finish(self, step: PendingDecision) -> None:
        """Applies a decision that all its rooms have accepted."""
        for record, previewed in zip(step.records, step.previewed, strict=True):
            evolve(self.state, record, previewed)
        self.records.extend(step.records)
        self.excluded_rooms = frozenset()
        if step.command is not None:
            self.outcomes.append(CommandOutcome(step.command.number, step.decision.reply(self.state)))
            self.waiting.popleft()

    def _decide_again(self, step: PendingDecision) -> None:
        """Undoes the claims that other rooms accepted, and excludes the rooms that refused."""
        logger.error(
            "hotel %s: rooms %s refused a claim on nights that are free in the hotel's state", self.name, step.refused
        )
        if step.command is None or self.excluded_rooms:
            raise RuntimeError(f"rooms {step.refused} of hotel {self.name} hold other stays than the hotel's state")
        self.excluded_rooms = frozenset(step.refused)
        if not step.done:
            return
        self.step = PendingDecision(step.command, step.decision, ())
        self.step.changes = {room: step.changes[room] for room in step.done}
        self.undoing = True
        for room, change in self.step.changes.items():
            held = (held_by(self.state.bookings[booking]) for booking in change.releases)
            self._ask_room(room, [stay[2] for stay in change.claims], [hold[1] for hold in held if hold is not None])

    def _report(self) -> None:
        outcomes, records, is_open = tuple(self.outcomes), tuple(self.records), self.state.hotel is not None
        router, self.router = self.router, None
        self.send(router, HotelCommandsDone(self.name, outcomes, records, due_at(self.state), is_open))


def _no_reply(_: HotelState) -> Reply:
    raise AssertionError("what is due without a command has no reply")


HotelActor.handles = {
    LoadHotelState: HotelActor.load_state,
    HotelCommands: HotelActor.handle_commands,
    ClaimDone: HotelActor.claim_done,
    ClaimRefused: HotelActor.claim_refused,
    PoisonMessage: HotelActor.room_failed,
}
