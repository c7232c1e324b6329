"""The local actor system: runs `TypedActor`s in the calling thread, and is driven by one thread at a time.

It keeps what Thespian documents for its simple system base, on which the same actors run unchanged: messages are
delivered in the order in which they were sent; an actor that is created exists at once; a message whose handler raises
is delivered up to three times, and then goes back to its sender as a `PoisonMessage`; an actor ends after its
`ActorExitRequest`, with its children, and its parent gets a `ChildActorExited`. A delivery costs two thirds of
Thespian's own, since nothing here needs its wakeups, its locks and its sources.
"""

import logging
import traceback
from collections import deque
from typing import Any, Final, Protocol

from innkeeper.actors.system.typed_actor import TypedActor
from thespian.actors import ActorAddress, ActorExitRequest, ChildActorExited, PoisonMessage

logger = logging.getLogger(__name__)

_ATTEMPTS_MAX: Final = 3


class ActorSystem(Protocol):
    """What the host of actors needs of the system that runs them: ours, or one of Thespian's."""

    def createActor(self, actor_type: type[TypedActor]) -> ActorAddress:  # noqa: N802 (name of Thespian)
        """Creates an actor without a parent."""

    def ask(self, address: ActorAddress, message: object) -> Any:
        """Sends a message from outside; returns the first message that comes back, or None where none does."""

    def tell(self, address: ActorAddress, message: object) -> None:
        """Sends a message from outside."""

    def shutdown(self) -> None:
        """Ends all actors."""


class LocalAddress(ActorAddress):  # type: ignore[misc]
    """The address of an actor, and its place in the system. `actor` is None once the actor has ended."""

    def __init__(self, name: str, system: "LocalActorSystem", parent: "LocalAddress | None") -> None:
        super().__init__(name)
        self.name = name
        self.actor: TypedActor | None = None
        self.parent = parent
        self.children: dict[str, LocalAddress] = {}
        self._system = system

    def send(self, receiver: "LocalAddress", message: object) -> None:
        """Sends a message from this actor; it is delivered after those that were sent before it."""
        self._system.pending.append((receiver, message, self, 0))

    def create(self, actor_type: type[TypedActor]) -> "LocalAddress":
        """Creates a child of this actor."""
        return self._system.create(actor_type, self)


Delivery = tuple[LocalAddress, object, LocalAddress, int]
"""Receiver, message, sender, and how often the handler has raised so far."""


class LocalActorSystem:
    """An actor system of its own; a process may have several. Not re-entrant: an actor must not call it."""

    def __init__(self) -> None:
        self.pending: deque[Delivery] = deque()
        self._outside = LocalAddress("outside", self, None)
        self._responses: list[object] = []
        self._created = 0

    def createActor(self, actor_type: type[TypedActor]) -> LocalAddress:  # noqa: N802 (name of Thespian)
        """See `ActorSystem`. Raises what the actor's constructor raises."""
        address = self._new_address(actor_type, self._outside)
        address.actor = actor_type()
        address.actor.join(address)
        return address

    def create(self, actor_type: type[TypedActor], parent: LocalAddress) -> LocalAddress:
        """Creates a child; where its constructor raises, the parent gets a `ChildActorExited`."""
        address = self._new_address(actor_type, parent)
        try:
            actor = actor_type()
        except Exception:
            logger.warning("a %s could not be created", actor_type.__name__, exc_info=True)
            self.pending.append((parent, ChildActorExited(address), self._outside, 0))
            return address
        address.actor = actor
        actor.join(address)
        return address

    def tell(self, address: LocalAddress, message: object) -> None:
        """See `ActorSystem`. Returns when no message is pending."""
        self.ask(address, message)

    def ask(self, address: LocalAddress, message: object) -> Any:
        """See `ActorSystem`. Returns when no message is pending."""
        self._responses.clear()
        pending, outside = self.pending, self._outside
        pending.append((address, message, outside, 0))
        while pending:
            receiver, message, sender, attempts = pending.popleft()
            if receiver.actor is not None:
                try:
                    handler = receiver.actor.handles.get(type(message))
                    if handler is not None:
                        handler(receiver.actor, message, sender)
                    else:
                        receiver.actor.receiveMessage(message, sender)
                except Exception:
                    self._failed(receiver, message, sender, attempts + 1)
                if isinstance(message, ActorExitRequest):
                    self._end(receiver)
            elif receiver is outside:
                self._responses.append(message)
        return self._responses[0] if self._responses else None

    def shutdown(self) -> None:
        """See `ActorSystem`."""
        self.pending.clear()
        ending = [*self._outside.children.values()]
        while ending:
            address = ending.pop()
            ending += address.children.values()
            address.actor = None
        self._outside.children.clear()

    def _new_address(self, actor_type: type[TypedActor], parent: LocalAddress) -> LocalAddress:
        self._created += 1
        name = f"{actor_type.__name__}-{self._created}"
        address = parent.children[name] = LocalAddress(name, self, parent)
        return address

    def _failed(self, receiver: LocalAddress, message: object, sender: LocalAddress, attempts: int) -> None:
        """Delivers the message again at the end of the queue, or returns it to its sender after the last attempt."""
        logger.warning("%s failed to handle a message (attempt %d)", receiver, attempts, exc_info=True)
        if attempts < _ATTEMPTS_MAX:
            self.pending.append((receiver, message, sender, attempts))
        elif not isinstance(message, PoisonMessage):
            self.pending.append((sender, PoisonMessage(message, traceback.format_exc()), receiver, 0))

    def _end(self, address: LocalAddress) -> None:
        address.actor = None
        for child in address.children.values():
            self.pending.append((child, ActorExitRequest(), self._outside, 0))
        parent = address.parent
        assert parent is not None
        parent.children.pop(address.name, None)
        if parent is not self._outside:
            self.pending.append((parent, ChildActorExited(address), self._outside, 0))
