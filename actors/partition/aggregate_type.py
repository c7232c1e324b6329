"""What a partition does for its hotels: which desk they sit behind, and how each begins again from its events."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from innkeeper.actors.partition.router import HotelRouter
from innkeeper.actors.reservations.rules.state import HotelState, describe, evolve, restore
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.reservations.queries import DescribeState
from innkeeper.protocol.reservations.replies import StateReply


class AggregateType(NamedTuple):
    """A trade is plied on states: one `begin`s empty, each event `evolve`s it, a snapshot `describe`s it whole and can
    `restore` it. Where it is not `is_open`, the hotel never opened. `ask` makes the query that is answered with the
    same description, of the kind `described`."""

    desk: type[HotelRouter]
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


HOTEL = AggregateType(
    desk=HotelRouter,
    begin=HotelState,
    evolve=evolve,
    describe=describe,
    restore=restore,
    is_open=lambda state: state.hotel is not None,
    ask=DescribeState,
    described=StateReply,
)
"""Rooms are booked."""
