"""The table of a consumer of events: what it does with each type of event.

A consumer that handles some types of events differently looks up their handlers in such a table. A type that is not in
the table is an error; `tests/test_consumers.py` says which consumer does not know which event.
"""

from collections.abc import Collection, Mapping
from typing import Generic, NoReturn, TypeVar

from innkeeper.protocol.messages.event import Event

H = TypeVar("H")


class UndeclaredEvent(LookupError):
    """A consumer got an event that its table neither handles nor ignores."""


class EventTable(dict[type[Event], H | None], Generic[H]):
    """Maps each type of event to its handler, or to None where the consumer ignores it. Looking up a type that is not
    in the table raises `UndeclaredEvent`.

    `handles` and `ignores` name every event of the contexts that the consumer follows. `not_followed` names the other
    contexts: their logs are not read, so their events never reach the consumer.
    """

    def __init__(
        self,
        consumer: str,
        *,
        handles: Mapping[type[Event], H],
        ignores: Collection[type[Event]],
        not_followed: Collection[str],
    ) -> None:
        if both := handles.keys() & set(ignores):
            raise ValueError(f"{consumer} handles and ignores {both}")
        super().__init__({**dict.fromkeys(ignores), **handles})
        self.consumer = consumer
        self.handles = frozenset(handles)
        self.ignores = frozenset(ignores)
        self.not_followed = frozenset(not_followed)

    def __missing__(self, kind: type[Event]) -> NoReturn:
        raise UndeclaredEvent(f"{self.consumer} neither handles nor ignores {kind.__name__}")
