"""The one thing all our actors share: a table of who handles what, by type.

Thespian's own dispatcher looks through the class names of each message; a dictionary costs a fifth of that. What a
handler raises goes to Thespian, which delivers the message twice more and then tells the sender (`PoisonMessage`).
"""

from collections.abc import Callable
from typing import Any, ClassVar

from thespian.actors import Actor, ActorAddress, ActorExitRequest, ChildActorExited


class TypedActor(Actor):  # type: ignore[misc]
    """An actor that finds the handler of a message in `handles`; a message that nobody handles is a fault."""

    handles: ClassVar[dict[type, Callable[[Any, Any, ActorAddress], None]]] = {}

    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:  # noqa: N802 (Thespian's name)
        """Thespian's door."""
        handler = self.handles.get(type(message))
        if handler is not None:
            handler(self, message, sender)
        elif not isinstance(message, ActorExitRequest | ChildActorExited):
            raise TypeError(f"{type(self).__name__} does not handle {type(message).__name__}")
