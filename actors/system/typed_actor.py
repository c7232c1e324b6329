"""The base class of all actors: a table of handlers by message type.

Thespian's own dispatcher searches the class names of each message; a dictionary costs a fifth of that. When a handler
raises, Thespian delivers the message twice more and then sends the sender a `PoisonMessage`.
"""

from collections.abc import Callable
from typing import Any, ClassVar

from thespian.actors import Actor, ActorAddress, ActorExitRequest, ChildActorExited


class TypedActor(Actor):  # type: ignore[misc]
    """An actor that looks up the handler of a message in `handles`. Raises TypeError where there is none."""

    handles: ClassVar[dict[type, Callable[[Any, Any, ActorAddress], None]]] = {}

    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:  # noqa: N802 (name of Thespian)
        """See Thespian: called with each message."""
        handler = self.handles.get(type(message))
        if handler is not None:
            handler(self, message, sender)
        elif not isinstance(message, ActorExitRequest | ChildActorExited):
            raise TypeError(f"{type(self).__name__} does not handle {type(message).__name__}")
