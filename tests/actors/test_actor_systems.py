"""One contract for the local actor system and Thespian's own simple system: the actors run unchanged in both."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from innkeeper.actors.system.actor_systems import ACTOR_SYSTEMS
from innkeeper.actors.system.local_actor_system import LocalActorSystem
from innkeeper.actors.system.typed_actor import TypedActor
from thespian.actors import ActorAddress, ActorExitRequest, ChildActorExited, PoisonMessage

ATTEMPTS = 3


class Append(msgspec.Struct, frozen=True):
    """Append these words; the actor sends itself `times` more messages."""

    words: str
    times: int = 0


class Fail(msgspec.Struct, frozen=True):
    """Fail at so many attempts; each attempt first sends itself a message, where `sends`."""

    times: int
    sends: bool = False


class Create(msgspec.Struct, frozen=True):
    """Create a child of this class, and raise after that, where `fails`."""

    child: type[TypedActor]
    fails: bool = False


class Forward(msgspec.Struct, frozen=True):
    """Send this message to the newest child."""

    message: object


class EndChild(msgspec.Struct, frozen=True):
    """Send the newest child these messages, with an exit request between them."""

    before: tuple[object, ...]
    after: tuple[object, ...]


class ShowAll(msgspec.Struct, frozen=True):
    """Reply with all words."""


class Appended(msgspec.Struct, frozen=True):
    """The words of all messages, in order."""

    words: tuple[str, ...]


class Recorder(TypedActor):
    """Records what it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.attempts = 0
        self.children: list[ActorAddress] = []

    def append_words(self, message: Append, _: ActorAddress) -> None:
        self.words.append(message.words)
        for number in range(message.times):
            self.send(self.myAddress, Append(f"{message.words}.{number}"))

    def fail(self, message: Fail, sender: ActorAddress) -> None:
        self.attempts += 1
        if message.sends:
            self.send(self.myAddress, Append(f"sent at attempt {self.attempts}"))
        if self.attempts <= message.times:
            raise ValueError(f"attempt {self.attempts}")
        self.send(sender, Appended((f"after {self.attempts}",)))

    def create_child(self, message: Create, sender: ActorAddress) -> None:
        self.children.append(self.createActor(message.child))
        self.send(self.children[-1], Append("first"))
        if message.fails:
            raise ValueError("after a creation and a message")
        self.send(sender, Appended(("created",)))

    def forward(self, message: Forward, _: ActorAddress) -> None:
        self.send(self.children[-1], message.message)

    def end_child(self, message: EndChild, _: ActorAddress) -> None:
        for one in (*message.before, ActorExitRequest(), *message.after):
            self.send(self.children[-1], one)

    def show_all(self, _: ShowAll, sender: ActorAddress) -> None:
        self.send(sender, Appended(tuple(self.words)))

    def child_exited(self, message: ChildActorExited, _: ActorAddress) -> None:
        known = message.childAddress in self.children
        self.words.append(f"a child ended: {known}")

    def poisoned(self, message: PoisonMessage, _: ActorAddress) -> None:
        self.words.append(f"poison: {type(message.poisonMessage).__name__}")


class Child(Recorder):
    """A child that passes what it records on to its parent."""

    def append_words(self, message: Append, sender: ActorAddress) -> None:
        self.send(sender, Append(f"child: {message.words}"))


class Unborn(TypedActor):
    """An actor whose constructor raises."""

    def __init__(self) -> None:
        super().__init__()
        raise ValueError("no")


Recorder.handles = {
    Append: Recorder.append_words,
    Fail: Recorder.fail,
    Create: Recorder.create_child,
    Forward: Recorder.forward,
    EndChild: Recorder.end_child,
    ShowAll: Recorder.show_all,
    ChildActorExited: Recorder.child_exited,
    PoisonMessage: Recorder.poisoned,
}
Child.handles = {**Recorder.handles, Append: Child.append_words}


@pytest.fixture(params=ACTOR_SYSTEMS)
def open_system(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Opens an actor system of each kind."""
    return ACTOR_SYSTEMS[request.param]


@pytest.fixture
def system(open_system: Callable[[], Any]) -> Iterator[Any]:
    """An actor system."""
    opened = open_system()
    yield opened
    opened.shutdown()


@pytest.fixture
def recorder(system: Any) -> ActorAddress:
    """An actor in it."""
    return system.createActor(Recorder)


def words(system: Any, recorder: ActorAddress) -> tuple[str, ...]:
    """What the actor has recorded, once no message is pending."""
    system.ask(recorder, ShowAll())  # a reply may come before the messages that were sent after the question
    reply = system.ask(recorder, ShowAll())
    assert isinstance(reply, Appended)
    return reply.words


def test_messages_arrive_in_order_and_before_the_next_ask(system: Any, recorder: ActorAddress) -> None:
    system.tell(recorder, Append("one", times=2))
    system.tell(recorder, Append("two"))
    assert system.ask(recorder, ShowAll()) == Appended(("one", "one.0", "one.1", "two"))


@pytest.mark.parametrize("failures", range(1, ATTEMPTS))
def test_a_failed_message_is_retried(system: Any, recorder: ActorAddress, failures: int) -> None:
    assert system.ask(recorder, Fail(failures)) == Appended((f"after {failures + 1}",))


def test_a_message_that_fails_three_times_is_returned_as_poison(system: Any, recorder: ActorAddress) -> None:
    answer = system.ask(recorder, Fail(99))
    assert isinstance(answer, PoisonMessage)
    assert answer.poisonMessage == Fail(99)
    assert f"attempt {ATTEMPTS}" in answer.details
    assert words(system, recorder) == ()


def test_what_a_failing_handler_has_sent_is_delivered_each_time(system: Any, recorder: ActorAddress) -> None:
    system.ask(recorder, Fail(99, sends=True))
    assert words(system, recorder) == tuple(f"sent at attempt {number + 1}" for number in range(ATTEMPTS))


def test_a_child_exists_at_once_and_answers_its_parent(system: Any, recorder: ActorAddress) -> None:
    assert system.ask(recorder, Create(Child)) == Appended(("created",))
    system.tell(recorder, Forward(Append("second")))
    assert words(system, recorder) == ("child: first", "child: second")


def test_a_handler_that_creates_and_sends_and_then_raises_does_so_at_each_attempt(
    system: Any, recorder: ActorAddress
) -> None:
    assert isinstance(system.ask(recorder, Create(Child, fails=True)), PoisonMessage)
    assert words(system, recorder) == ("child: first",) * ATTEMPTS


def test_the_poison_of_a_child_goes_to_the_parent_that_sent_the_message(system: Any, recorder: ActorAddress) -> None:
    system.ask(recorder, Create(Child))
    system.tell(recorder, Forward(Fail(99)))
    assert words(system, recorder) == ("child: first", "poison: Fail")


def test_an_actor_that_ends_handles_what_was_sent_before_and_nothing_after(system: Any, recorder: ActorAddress) -> None:
    system.ask(recorder, Create(Child))
    system.tell(recorder, EndChild((Append("before"),), (Append("after"), Append("later"))))
    assert words(system, recorder) == ("child: first", "child: before", "a child ended: True")


def test_a_message_that_is_being_retried_is_dropped_when_its_actor_ends(system: Any, recorder: ActorAddress) -> None:
    system.ask(recorder, Create(Child))
    system.tell(recorder, EndChild((Fail(99),), ()))
    assert words(system, recorder) == ("child: first", "a child ended: True")


def test_children_end_with_their_parent(system: Any, recorder: ActorAddress) -> None:
    system.ask(recorder, Create(Recorder))
    system.tell(recorder, Forward(Create(Child)))
    system.tell(recorder, EndChild((), (Forward(Append("after")),)))
    assert words(system, recorder)[-1] == "a child ended: True"


def test_a_child_whose_constructor_raises_has_ended(system: Any, recorder: ActorAddress) -> None:
    system.ask(recorder, Create(Unborn))
    assert words(system, recorder) == ("a child ended: True",)


def test_an_actor_that_has_ended_receives_nothing(system: Any, recorder: ActorAddress) -> None:
    system.tell(recorder, ActorExitRequest())
    assert system.ask(recorder, ShowAll()) is None


def test_a_message_without_a_handler_is_poison(system: Any, recorder: ActorAddress) -> None:
    answer = system.ask(recorder, Appended(()))
    assert isinstance(answer, PoisonMessage)
    assert "does not handle Appended" in answer.details


def test_two_actor_systems_are_independent(system: Any, recorder: ActorAddress, open_system: Callable[[], Any]) -> None:
    other = open_system()
    system.tell(recorder, Append("here"))
    assert other.ask(other.createActor(Recorder), ShowAll()) == Appended(())
    other.shutdown()
    assert system.ask(recorder, ShowAll()) == Appended(("here",))


def test_nothing_is_delivered_after_a_shutdown() -> None:
    system = LocalActorSystem()
    recorder = system.createActor(Recorder)
    system.ask(recorder, Create(Child))
    system.shutdown()
    assert system.ask(recorder, ShowAll()) is None
