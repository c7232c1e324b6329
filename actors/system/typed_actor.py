"""The base class of all actors: a table of handlers by message type.

Thespian's own dispatcher searches the class names of each message; a dictionary costs a fifth of that. The actors use
only Thespian's public methods `send`, `createActor` and `myAddress`, so that they run in the local actor system, and in
each of Thespian's own.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from thespian.actors import Actor, ActorAddress, ActorExitRequest, ChildActorExited


class ActorContext(Protocol):
    """An actor's address in the local actor system, and what the actor can do there."""

    def send(self, receiver: ActorAddress, message: object) -> None:
        """Sends a message from this actor."""

    def create(self, actor_type: type["TypedActor"]) -> ActorAddress:
        """Creates a child of this actor."""


class TypedActor(Actor):  # type: ignore[misc]
    """An actor that looks up the handler of a message in `handles`. Raises TypeError where there is none."""

    handles: ClassVar[dict[type, Callable[[Any, Any, ActorAddress], None]]] = {}
    _membership: ActorContext | None = None

    def join(self, membership: ActorContext) -> None:
        """Makes the actor a member of the local actor system, which calls this once. Thespian's systems do not."""
        self._membership = membership
        self.send = membership.send  # type: ignore[method-assign]  # spares each message a call

    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:  # noqa: N802 (names of Thespian, and below)
        """See Thespian: called with each message."""
        handler = self.handles.get(type(message))
        if handler is not None:
            handler(self, message, sender)
        elif not isinstance(message, ActorExitRequest | ChildActorExited):
            raise TypeError(f"{type(self).__name__} does not handle {type(message).__name__}")

    def send(self, receiver: ActorAddress, message: object) -> None:
        """See Thespian."""
        super().send(receiver, message)

    def createActor(self, actor_type: type["TypedActor"]) -> ActorAddress:  # noqa: N802
        """See Thespian."""
        return super().createActor(actor_type) if self._membership is None else self._membership.create(actor_type)

    @property
    def myAddress(self) -> ActorAddress:  # noqa: N802
        """See Thespian."""
        return super().myAddress if self._membership is None else self._membership
