"""The stage of a partition's actors: Thespian's simple system, without what none of ours asks of it.

For each message Thespian looks for wakeups that fall due, takes a lock against other threads, formats a line for a log
that nobody keeps, and goes through what the message could be of its own; that takes several times as long as to
deliver it. Our actors never ask to be woken (the host says what time it is), one thread at a time drives them, and all
that they say to each other are structs, which go straight to their receiver. The rest is left to Thespian: making and
ending actors, the three attempts at a message whose handler raises, and the poison after them.
"""

from typing import Any

import msgspec
from thespian.actors import ActorAddress, ActorSystem
from thespian.system.simpleSystemBase import ActorRef, ActorSystemBase, PendingSend


class LocalActorSystem(ActorSystem):  # type: ignore[misc]
    """An actor system of its own in the thread that asks it; a process may have several."""

    def __init__(self) -> None:
        super().__init__(transientUnique=True)

    def _startupActorSys(self, *_: object) -> "_SystemBase":  # noqa: N802 (Thespian's names, here and below)
        self.systemAddress = ActorAddress("/ActorSys")
        self.capabilities: dict[str, object] = {}
        self._systemBase = _SystemBase(self, logDefs=False)
        return self._systemBase


class _SystemBase(ActorSystemBase):  # type: ignore[misc]
    def _runSends(self, *_: object, **__: object) -> None:  # noqa: N802
        """Until nobody has anything to say any more. The answer of an actor that was asked waits by then."""
        pending = self._pendingSends
        while pending:
            self._runSingleSend(pending.pop(0))

    def _runSingleSend(self, send: PendingSend) -> None:  # noqa: N802
        receiver = self.actorRegistry.get(send.toActor.addressDetails)
        if send.attempts or receiver is None or receiver.instance is None or not isinstance(send.msg, msgspec.Struct):
            super()._runSingleSend(send)
        else:
            self._callActorWithMessage(receiver, send, send.msg, send.sender)

    def actor_send(self, sender: ActorAddress, receiver: ActorAddress, message: Any) -> None:
        """See Thespian: it is delivered behind what was said before."""
        self._pendingSends.append(PendingSend(sender, message, receiver))

    def _newRefAndActor(self, *what: Any, **more: Any) -> ActorRef:  # noqa: N802
        made = super()._newRefAndActor(*what, **more)
        if made.instance is not None:
            made.instance._receive = made.instance.receiveMessage
        return made
