"""Routes messages to all services, in this process or in others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from innkeeper.actors.subscriptions.service import Service
from innkeeper.protocol.messages.envelope import Result
from innkeeper.protocol.messages.refusals import NotFound, Refused, Unavailable
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.subscriptions import (
    AwaitSubscriber,
    DeadLettersReply,
    ListDeadLetters,
    ListSubscribers,
    PauseSubscriber,
    RedriveDeadLetter,
    SubscribersReply,
)
from innkeeper.protocol.values.limits import service_answer_seconds_max

R = TypeVar("R", bound=Reply)
Ask = Callable[[ServiceMessage], Awaitable[Reply]]
AskOnce = Callable[[ServiceMessage, str], Awaitable[Result]]


class ServiceRouter:
    """See `innkeeper.protocol.ports.message_bus.ServiceRouter`. Those of this process are also started here."""

    def __init__(self) -> None:
        self._services: dict[str, Ask] = {}
        self._once: dict[str, AskOnce] = {}
        self._local: list[Service[Any]] = []

    async def start(self, service: Service[Any]) -> None:
        """Starts a service. Raises what its start raises."""
        await service.start()
        self._local.append(service)
        self.add(service.name, service.ask, service.ask_once)

    def add(self, name: str, ask: Ask, ask_once: AskOnce) -> None:
        """Adds a service; `ask` sends it a message, `ask_once` one with an idempotency key."""
        self._services[name], self._once[name] = ask, ask_once

    def ended(self) -> list["asyncio.Future[None]"]:
        """Futures that are done when the services of this process end, with the error of one that failed."""
        return [asyncio.ensure_future(service.ended()) for service in self._local]

    async def ask(self, message: ServiceMessage) -> Reply:
        """See `ServiceRouter`."""
        try:
            async with asyncio.timeout(service_answer_seconds_max):
                match message:
                    case ListSubscribers():
                        replies = await self._ask_all(message, SubscribersReply)
                        return SubscribersReply(tuple(state for reply in replies for state in reply.subscribers))
                    case ListDeadLetters():
                        letters = await self._ask_all(message, DeadLettersReply)
                        return DeadLettersReply(tuple(letter for reply in letters for letter in reply.dead_letters))
                    case PauseSubscriber() | RedriveDeadLetter() | AwaitSubscriber():
                        return await self._ask_service_of(message.subscriber, message)
                    case _ if message.service in self._services:
                        return await self._services[message.service](message)
        except TimeoutError:
            raise Refused(Unavailable("the service does not answer", unknown=message.changes)) from None
        raise Refused(Unavailable(f"{message.service} is not running"))

    async def ask_once(self, message: ServiceMessage, key: str) -> Result:
        """See `Services`. A key is valid within one service."""
        try:
            async with asyncio.timeout(service_answer_seconds_max):
                if isinstance(message, PauseSubscriber | RedriveDeadLetter):
                    return await self._ask_service_of_once(message.subscriber, message, key)
                if message.service in self._once:
                    return await self._once[message.service](message, key)
        except TimeoutError:
            return Result(Unavailable("the service does not answer", unknown=True))
        return Result(Unavailable(f"{message.service} is not running"))

    async def _ask_all(self, message: ServiceMessage, kind: type[R]) -> list[R]:
        """The replies of all services; a refusal is ignored where another service has replied."""
        replies = await asyncio.gather(*(ask(message) for ask in self._services.values()), return_exceptions=True)
        received = [reply for reply in replies if isinstance(reply, kind)]
        for failure in replies:
            if isinstance(failure, BaseException) and not (isinstance(failure, Refused) and received):
                raise failure
        return received

    async def _ask_service_of(self, subscriber: str, message: ServiceMessage) -> Reply:
        """The reply of the service that runs this subscriber; the service of the same name is asked first."""
        missing = Refused(NotFound("subscriber", subscriber))
        for name in self._candidates(subscriber):
            try:
                return await self._services[name](message)
            except Refused as refused:
                if not isinstance(refused.refusal, NotFound):
                    missing = refused
                elif refused.refusal.kind != "subscriber":
                    raise
        raise missing

    async def _ask_service_of_once(self, subscriber: str, message: ServiceMessage, key: str) -> Result:
        """See `_ask_service_of`."""
        missing = Result(NotFound("subscriber", subscriber))
        for name in self._candidates(subscriber):
            result = await self._once[name](message, key)
            match result.response:
                case NotFound("subscriber"):
                    continue
                case Unavailable(unknown=False):
                    missing = result
                case _:
                    return result
        return missing

    def _candidates(self, subscriber: str) -> list[str]:
        """The names of the services that may run this subscriber, in the order in which they are asked."""
        return sorted(self._services, key=lambda name: name != subscriber)
