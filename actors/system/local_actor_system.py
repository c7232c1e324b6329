"""The actor system of a partition: Thespian's simple system, without the features that no actor here uses.

For each message Thespian checks for due wakeups, takes a lock against other threads, formats a log record that is not
kept, and tests whether the message is one of its own; that takes several times as long as delivering it. Actors here
never request wakeups (the host passes the time), one thread at a time drives them, and all their messages are structs,
which go directly to their receiver. The rest is left to Thespian: creating and ending actors, the three attempts at a
message whose handler raises, and the `PoisonMessage` after them.
"""

from typing import Any

import msgspec
from thespian.actors import ActorAddress, ActorSystem
from thespian.system.simpleSystemBase import ActorRef, ActorSystemBase, PendingSend


class LocalActorSystem(ActorSystem):  # type: ignore[misc]
    """An actor system that runs in the calling thread; a process may have several."""

    def __init__(self) -> None:
        super().__init__(transientUnique=True)

    def _startupActorSys(self, *_: object) -> "_SystemBase":  # noqa: N802 (names of Thespian, here and below)
        self.systemAddress = ActorAddress("/ActorSys")
        self.capabilities: dict[str, object] = {}
        self._systemBase = _SystemBase(self, logDefs=False)
        return self._systemBase


class _SystemBase(ActorSystemBase):  # type: ignore[misc]
    def _runSends(self, *_: object, **__: object) -> None:  # noqa: N802
        """Delivers messages until none is pending. By then the reply of the actor that was asked is there."""
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
        """See Thespian. The message is delivered after those sent before it."""
        self._pendingSends.append(PendingSend(sender, message, receiver))

    def _newRefAndActor(self, *arguments: Any, **options: Any) -> ActorRef:  # noqa: N802
        actor = super()._newRefAndActor(*arguments, **options)
        if actor.instance is not None:
            actor.instance._receive = actor.instance.receiveMessage
        return actor
