"""The aggregate that a partition runs for each hotel: the router of its actors, and its fold and snapshot."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from innkeeper.actors.partition.router import Router
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.values.guests import GuestDetails, GuestKey


class AggregateType(NamedTuple):
    """A kind of aggregate, with one instance for each hotel. `begin` makes an empty state, `evolve` applies an event to
    it, `describe` returns it as one value for a snapshot, and `restore` makes the state from that value. `is_open` is
    false for a hotel that never opened. `query` makes the query whose reply is the description, of the class
    `description`.

    A state that was made from the journal has guests without details: `lacking_details` returns which, and
    `add_details` adds those that were found."""

    router: type[Router]
    begin: Callable[[], Any]
    evolve: Callable[[Any, RecordedEvent], None]
    describe: Callable[[Any], Reply]
    restore: Callable[[Any], Any]
    is_open: Callable[[Any], bool]
    query: Callable[[str], Query]
    description: type[Any]
    lacking_details: Callable[[Any], list[GuestKey]]
    add_details: Callable[[Any, Mapping[GuestKey, GuestDetails]], None]

    def fold(self, state: Any, records: Iterable[RecordedEvent]) -> Any:
        """Applies these events to the state and returns it."""
        for record in records:
            self.evolve(state, record)
        return state
