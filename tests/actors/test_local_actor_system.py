"""The stage keeps what Thespian promises: order, three attempts, poison, and no word to who has gone."""

from typing import Any

import msgspec
import pytest
from innkeeper.actors.system.local_actor_system import LocalActorSystem
from innkeeper.actors.system.typed_actor import TypedActor
from thespian.actors import ActorAddress, ActorExitRequest, PoisonMessage


class Say(msgspec.Struct, frozen=True):
    """Something, to be passed on `times` times in between."""

    words: str
    times: int = 0


class Fail(msgspec.Struct, frozen=True):
    """Raise at so many attempts."""

    times: int


class Heard(msgspec.Struct, frozen=True):
    """All that came, in order."""

    words: tuple[str, ...]


class Listen(msgspec.Struct, frozen=True):
    """Say what you heard."""


class Echo(TypedActor):
    """Hears itself: what it says comes behind what was said before."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.failed = 0

    def subscribe(self, message: Say, _: ActorAddress) -> None:
        self.heard.append(message.words)
        for number in range(message.times):
            self.send(self.myAddress, Say(f"{message.words}.{number}"))

    def fail(self, message: Fail, sender: ActorAddress) -> None:
        self.failed += 1
        if self.failed <= message.times:
            raise ValueError(f"attempt {self.failed}")
        self.send(sender, Heard((f"after {self.failed}",)))

    def tell(self, _: Listen, sender: ActorAddress) -> None:
        self.send(sender, Heard(tuple(self.heard)))


Echo.handles = {Say: Echo.subscribe, Fail: Echo.fail, Listen: Echo.tell}


@pytest.fixture
def echo() -> Any:
    """A stage and the one on it."""
    stage = LocalActorSystem()
    yield stage, stage.createActor(Echo)
    stage.shutdown()


def test_what_is_said_comes_in_order_and_before_the_next_question(echo: Any) -> None:
    stage, actor = echo
    stage.tell(actor, Say("one", times=2))
    stage.tell(actor, Say("two"))
    assert stage.ask(actor, Listen()) == Heard(("one", "one.0", "one.1", "two"))


@pytest.mark.parametrize("failures", [1, 2])
def test_what_fails_is_tried_again(echo: Any, failures: int) -> None:
    stage, actor = echo
    assert stage.ask(actor, Fail(failures)) == Heard((f"after {failures + 1}",))


def test_what_fails_three_times_comes_back_as_poison(echo: Any) -> None:
    stage, actor = echo
    answer = stage.ask(actor, Fail(99))
    assert isinstance(answer, PoisonMessage)
    assert answer.poisonMessage == Fail(99)
    assert "attempt 3" in answer.details
    assert stage.ask(actor, Listen()) == Heard(())


def test_who_has_gone_hears_nothing(echo: Any) -> None:
    stage, actor = echo
    stage.tell(actor, ActorExitRequest())
    assert stage.ask(actor, Listen()) is None


def test_two_stages_know_nothing_of_each_other(echo: Any) -> None:
    stage, actor = echo
    other = LocalActorSystem()
    stage.tell(actor, Say("here"))
    assert other.ask(other.createActor(Echo), Listen()) == Heard(())
    other.shutdown()
    assert stage.ask(actor, Listen()) == Heard(("here",))
