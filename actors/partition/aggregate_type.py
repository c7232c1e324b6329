"""What a partition runs for its hotels: the router of their actors, and how each is rebuilt from its events."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from innkeeper.actors.partition.router import Router
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.reply import Reply


class AggregateType(NamedTuple):
    """A kind of aggregate, one for each hotel. `begin` makes an empty state, `evolve` changes it by an event,
    `describe` gives it as one value for a snapshot, and `restore` makes the state from that value. A state that is not
    `is_open` belongs to a hotel that never opened. `ask` makes the query whose reply is the description, of the class
    `described`."""

    router: type[Router]
    begin: Callable[[], Any]
    evolve: Callable[[Any, RecordedEvent], None]
    describe: Callable[[Any], Reply]
    restore: Callable[[Any], Any]
    is_open: Callable[[Any], bool]
    ask: Callable[[str], Query]
    described: type[Any]

    def fold(self, state: Any, records: Iterable[RecordedEvent]) -> Any:
        """The state after all these events."""
        for record in records:
            self.evolve(state, record)
        return state
