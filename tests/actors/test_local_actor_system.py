"""The local actor system keeps the guarantees of Thespian: order, three attempts, poison, no delivery after an exit."""

from typing import Any

import msgspec
import pytest
from innkeeper.actors.system.local_actor_system import LocalActorSystem
from innkeeper.actors.system.typed_actor import TypedActor
from thespian.actors import ActorAddress, ActorExitRequest, PoisonMessage


class Append(msgspec.Struct, frozen=True):
    """Append these words; the actor sends itself `times` more messages."""

    words: str
    times: int = 0


class Fail(msgspec.Struct, frozen=True):
    """Fail at so many attempts."""

    times: int


class Appended(msgspec.Struct, frozen=True):
    """The words of all messages, in order."""

    words: tuple[str, ...]


class ShowAll(msgspec.Struct, frozen=True):
    """Reply with all words."""


class AppendingActor(TypedActor):
    """An actor that sends messages to itself, which arrive after those that were sent before."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.failed = 0

    def append_words(self, message: Append, _: ActorAddress) -> None:
        self.words.append(message.words)
        for number in range(message.times):
            self.send(self.myAddress, Append(f"{message.words}.{number}"))

    def fail(self, message: Fail, sender: ActorAddress) -> None:
        self.failed += 1
        if self.failed <= message.times:
            raise ValueError(f"attempt {self.failed}")
        self.send(sender, Appended((f"after {self.failed}",)))

    def show_all(self, _: ShowAll, sender: ActorAddress) -> None:
        self.send(sender, Appended(tuple(self.words)))


AppendingActor.handles = {
    Append: AppendingActor.append_words,
    Fail: AppendingActor.fail,
    ShowAll: AppendingActor.show_all,
}


@pytest.fixture
def system_and_actor() -> Any:
    """An actor system, and an actor in it."""
    system = LocalActorSystem()
    yield system, system.createActor(AppendingActor)
    system.shutdown()


def test_messages_arrive_in_order_and_before_the_next_ask(system_and_actor: Any) -> None:
    system, actor = system_and_actor
    system.tell(actor, Append("one", times=2))
    system.tell(actor, Append("two"))
    assert system.ask(actor, ShowAll()) == Appended(("one", "one.0", "one.1", "two"))


@pytest.mark.parametrize("failures", [1, 2])
def test_a_failed_message_is_retried(system_and_actor: Any, failures: int) -> None:
    system, actor = system_and_actor
    assert system.ask(actor, Fail(failures)) == Appended((f"after {failures + 1}",))


def test_a_message_that_fails_three_times_is_returned_as_poison(system_and_actor: Any) -> None:
    system, actor = system_and_actor
    answer = system.ask(actor, Fail(99))
    assert isinstance(answer, PoisonMessage)
    assert answer.poisonMessage == Fail(99)
    assert "attempt 3" in answer.details
    assert system.ask(actor, ShowAll()) == Appended(())


def test_an_actor_that_has_exited_receives_nothing(system_and_actor: Any) -> None:
    system, actor = system_and_actor
    system.tell(actor, ActorExitRequest())
    assert system.ask(actor, ShowAll()) is None


def test_two_actor_systems_are_independent(system_and_actor: Any) -> None:
    system, actor = system_and_actor
    other = LocalActorSystem()
    system.tell(actor, Append("here"))
    assert other.ask(other.createActor(AppendingActor), ShowAll()) == Appended(())
    other.shutdown()
    assert system.ask(actor, ShowAll()) == Appended(("here",))
