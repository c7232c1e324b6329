"""A service replies to a change when it is on disk, says so where it does not run, and ends as a whole."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import ClassVar

import pytest
from innkeeper.actors.subscriptions.commit_signal import CommitSignal
from innkeeper.actors.subscriptions.service import Handlers, Service, ServicePorts
from innkeeper.actors.subscriptions.service_router import ServiceRouter
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.service_store import ServiceStore, Transaction
from innkeeper.protocol.ports.subscriptions import (
    EVERY_EVENT,
    Effects,
    ListSubscribers,
    PauseSubscriber,
    SubscribersReply,
    SubscriptionRequest,
    no_effects,
)
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.service_store import MemoryServiceStore
from support.recording_subscriber import GrowingLog

SECONDS_MAX = 10


class Question(ServiceMessage, frozen=True):
    """A message that takes its time."""

    name: ClassVar[str] = "clerks.question"
    service: ClassVar[str] = "clerks"


class Move(ServiceMessage, frozen=True):
    """A message that subscribes the porter anew, once the batch that it handles is done."""

    name: ClassVar[str] = "clerks.move"
    service: ClassVar[str] = "clerks"


class SlowDisk(MemoryServiceStore):
    """A store whose syncs wait until the disk is ready."""

    def __init__(self) -> None:
        super().__init__(MemoryDatabase())
        self.syncs = 0
        self.ready = asyncio.Event()
        self.ready.set()

    async def sync(self) -> None:
        """See `ServiceStore`."""
        await self.ready.wait()
        self.syncs += 1


class Clerks:
    """A service with two subscribers to one log: what `porter` does is derivable, what `bellboy` does is not."""

    def __init__(self) -> None:
        self.log = GrowingLog()
        self.commits = CommitSignal(0.001)
        self.store = SlowDisk()
        self.handled: list[str] = []
        self.answering = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.answered = 0
        self.failure: Exception | None = None
        self.is_handling = asyncio.Event()
        self.may_handle = asyncio.Event()
        self.may_handle.set()
        self.needed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ports = ServicePorts[ServiceStore](
            {RESERVATIONS: self.log}, self.commits, lambda: nullcontext(self.store), lambda: 0
        )
        self.service = Service("clerks", ports, self._open)

    @asynccontextmanager
    async def _open(self, service: Service[ServiceStore], _: ServiceStore) -> AsyncIterator[Handlers]:
        async def need() -> None:
            await self.needed

        service.needs(asyncio.create_task(need()))
        for name, derivable in (("porter", True), ("bellboy", False)):
            service.subscribe(SubscriptionRequest(name, EVERY_EVENT, derivable=derivable), self._handler(name))
        yield {Question: self._answer, Move: self._move}

    def _handler(self, name: str) -> Callable[[Sequence[LogEntry]], Awaitable[Effects]]:
        async def handle(entries: Sequence[LogEntry]) -> Effects:
            self.is_handling.set()
            await self.may_handle.wait()
            self.handled += [name] * len(entries)
            return no_effects

        return handle

    async def _answer(self, _: Question, __: Transaction) -> SubscribersReply:
        self.answering.set()
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        self.answered += 1
        return SubscribersReply(())

    async def _move(self, _: "Move", __: Transaction) -> SubscribersReply:
        await self.service.unsubscribe("porter", delete=False)
        self.service.subscribe(SubscriptionRequest("porter", EVERY_EVENT), self._handler("porter"))
        return SubscribersReply(())

    def happen(self) -> None:
        """Append an event, and announce it."""
        position, record = self.log.append("north", BookingPinned("b", "101"))
        self.commits.on_commit(position, [record])


def run_with(check: Callable[[Clerks], Awaitable[None]]) -> None:
    """Run a check with a service that runs."""

    async def run() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            clerks = Clerks()
            await clerks.service.start()
            try:
                await check(clerks)
            finally:
                clerks.store.ready.set()
                clerks.may_handle.set()
                await clerks.service.stop()

    asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true."""
    while not condition():  # noqa: ASYNC110 (it comes from another task)
        await asyncio.sleep(0.001)


PAUSE = PauseSubscriber("porter", True)


@pytest.mark.parametrize("key", ["", "key"])
def test_a_change_is_answered_once_it_is_on_disk(key: str) -> None:
    async def check(clerks: Clerks) -> None:
        clerks.store.ready.clear()
        service = clerks.service
        answer = asyncio.create_task(service.ask_once(PAUSE, key) if key else service.ask(PAUSE))  # type: ignore[arg-type]
        await until(lambda: service.tasks["porter"].state().paused)
        await asyncio.sleep(0.01)
        assert not answer.done()
        again = asyncio.create_task(service.ask_once(PAUSE, key)) if key else None
        await asyncio.sleep(0.01)
        assert again is None or not again.done()  # nor is it repeated before
        clerks.store.ready.set()
        await answer
        assert again is None or (await again).replayed

    run_with(check)


def test_a_query_waits_for_no_disk() -> None:
    async def check(clerks: Clerks) -> None:
        clerks.store.ready.clear()
        reply = await clerks.service.ask(ListSubscribers())
        assert isinstance(reply, SubscribersReply)
        assert {state.name for state in reply.subscribers} == {"porter", "bellboy"}

    run_with(check)


def test_only_what_can_be_derived_again_goes_on_before_it_is_on_disk() -> None:
    async def check(clerks: Clerks) -> None:
        clerks.store.ready.clear()
        for _ in range(3):
            events = len(clerks.log.entries)
            clerks.happen()
            await until(lambda: clerks.handled.count("porter") > events)  # noqa: B023 it is called at once
        assert clerks.handled.count("bellboy") == 1
        clerks.store.ready.set()
        await until(lambda: clerks.handled.count("bellboy") == 3)

    run_with(check)


def test_what_can_be_derived_again_is_on_disk_within_some_seconds() -> None:
    async def check(clerks: Clerks) -> None:
        before = clerks.store.syncs
        await until(lambda: clerks.store.syncs > before)

    run_with(check)


def test_a_stop_waits_for_the_answers_that_are_being_given_and_refuses_others() -> None:
    async def check(clerks: Clerks) -> None:
        answer = asyncio.create_task(clerks.service.ask(Question()))
        await clerks.answering.wait()
        stopping = asyncio.create_task(clerks.service.stop())
        await asyncio.sleep(0.01)
        with pytest.raises(Refused) as refused:
            await clerks.service.ask(ListSubscribers())
        assert refused.value.refusal == Unavailable("clerks is not running")
        assert (await clerks.service.ask_once(PAUSE, "key")).response == Unavailable("clerks is not running")
        assert not stopping.done()
        clerks.may_answer.set()
        assert await answer == SubscribersReply(())
        await stopping

    run_with(check)


@pytest.mark.parametrize("key", ["", "key"])
def test_a_change_is_carried_out_to_its_end_where_its_client_does_not_wait(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr("innkeeper.actors.subscriptions.service_router.service_answer_seconds_max", 0.05)

    async def check(clerks: Clerks) -> None:
        router = ServiceRouter()
        router.add("clerks", clerks.service.ask, clerks.service.ask_once)
        clerks.may_handle.clear()
        clerks.happen()
        await clerks.is_handling.wait()
        unavailable = Unavailable("the service does not answer", unknown=True)
        if key:
            assert (await router.ask_once(Move(), key)).response == unavailable
        else:
            with pytest.raises(Refused) as refused:
                await router.ask(Move())
            assert refused.value.refusal == unavailable
        clerks.may_handle.set()
        await until(lambda: "porter" in clerks.service.tasks)
        clerks.happen()
        await until(lambda: clerks.handled.count("porter") == 2)
        if key:
            assert (await router.ask_once(Move(), key)).replayed

    run_with(check)


def test_a_stop_waits_for_an_answer_whose_client_does_not_wait() -> None:
    async def check(clerks: Clerks) -> None:
        answer = asyncio.create_task(clerks.service.ask(Question()))
        await clerks.answering.wait()
        answer.cancel()
        await asyncio.wait({answer})
        stopping = asyncio.create_task(clerks.service.stop())
        await asyncio.sleep(0.01)
        assert not stopping.done()
        clerks.may_answer.set()
        await stopping
        assert clerks.answered == 1

    run_with(check)


def test_the_failure_of_an_answer_whose_client_does_not_wait_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def check(clerks: Clerks) -> None:
        clerks.failure = OSError("the ink is dry")
        answer = asyncio.create_task(clerks.service.ask(Question()))
        await clerks.answering.wait()
        answer.cancel()
        await asyncio.wait({answer})
        clerks.may_answer.set()
        await until(lambda: "the ink is dry" in caplog.text)

    run_with(check)


def test_a_subscriber_that_is_being_replaced_is_notified_in_vain() -> None:
    async def check(clerks: Clerks) -> None:
        clerks.may_handle.clear()
        clerks.happen()
        await clerks.is_handling.wait()
        moving = asyncio.create_task(clerks.service.ask(Move()))
        await until(lambda: "porter" not in clerks.service.tasks)
        clerks.service.notify("porter")
        clerks.may_handle.set()
        await moving
        clerks.happen()
        await until(lambda: clerks.handled.count("porter") == 2)

    run_with(check)


def test_a_service_ends_with_the_error_of_what_it_needs() -> None:
    async def check(clerks: Clerks) -> None:
        clerks.needed.set_exception(OSError("the journal is gone"))
        with pytest.raises(OSError, match="the journal is gone"):
            await clerks.service.ended()
        with pytest.raises(Refused):
            await clerks.service.ask(ListSubscribers())

    run_with(check)


def test_a_service_that_cannot_open_its_store_does_not_start() -> None:
    async def run() -> None:
        clerks = Clerks()
        clerks.service._ports = clerks.service._ports._replace(open_store=fail)
        with pytest.raises(OSError, match="no such disk"):
            await clerks.service.start()
        with pytest.raises(Refused):
            await clerks.service.ask(ListSubscribers())
        await clerks.service.stop()

    def fail() -> None:
        raise OSError("no such disk")

    asyncio.run(run())
