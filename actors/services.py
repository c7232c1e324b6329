"""All services of this process: who is asked what."""

import asyncio
from collections.abc import Mapping
from typing import TypeVar

from innkeeper.actors.service import Service
from innkeeper.protocol.asking import Source
from innkeeper.protocol.limits import service_answer_seconds_max
from innkeeper.protocol.refusals import NotFound, Refused, Unavailable
from innkeeper.protocol.replies import Reply
from innkeeper.protocol.subscribing import (
    AwaitSubscriber,
    DeadLettersReply,
    ListDeadLetters,
    ListSubscribers,
    PauseSubscriber,
    Redrive,
    SubscribersReply,
)

R = TypeVar("R", bound=Reply)


class Services:
    """A `protocol.asking.Services`: each service in a thread of its own."""

    def __init__(self) -> None:
        self._services: list[Service] = []

    async def start(self, service: Service, sources: Mapping[str, Source]) -> None:
        """One more, which hears of what the sources of the logs that it follows commit; raises what stands in its
        way."""
        await service.start(sources)
        self._services.append(service)

    async def stop(self) -> None:
        """Finish what is at hand, and end: last those that began first."""
        while self._services:
            await self._services.pop().stop()

    async def ask(self, message: object) -> Reply:
        """See `protocol.asking.Services`."""
        try:
            async with asyncio.timeout(service_answer_seconds_max):
                match message:
                    case ListSubscribers():
                        replies = await self._ask_all(message, SubscribersReply)
                        return SubscribersReply(tuple(one for reply in replies for one in reply.subscribers))
                    case ListDeadLetters():
                        letters = await self._ask_all(message, DeadLettersReply)
                        return DeadLettersReply(tuple(one for reply in letters for one in reply.dead_letters))
                    case PauseSubscriber() | Redrive() | AwaitSubscriber():
                        return await self._with_subscriber(message.subscriber).ask(message)
                    case _:
                        return await self._answering(type(message)).ask(message)
        except TimeoutError:
            raise Refused(Unavailable("the service does not answer")) from None

    async def _ask_all(self, message: object, kind: type[R]) -> list[R]:
        replies = await asyncio.gather(*(service.ask(message) for service in self._services))
        assert all(isinstance(reply, kind) for reply in replies)
        return replies  # type: ignore[return-value]

    def _with_subscriber(self, name: str) -> Service:
        for service in self._services:
            if name in service.workers:
                return service
        raise Refused(NotFound("subscriber", name))

    def _answering(self, kind: type) -> Service:
        for service in self._services:
            if kind in service.answering:
                return service
        raise Refused(Unavailable("the service for this is not running"))
