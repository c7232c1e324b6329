"""Hotels spread over partitions, behind one message bus and one set of read models."""

import asyncio
from collections.abc import Mapping
from datetime import date

from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.ports.views import BookingPage, BookingSearch, InvalidCursor, KnownGuest, Views
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.values.contexts import partition_of


class PartitionRouter:
    """A `MessageBus` that sends each command to the partition of its hotel."""

    def __init__(self, buses: Mapping[str, MessageBus]) -> None:
        """`buses` are the partitions in their order, by the name of their log."""
        self._buses = [*buses.values()]

    @property
    def ready(self) -> bool:
        """Whether any partition takes commands; the others refuse the commands of their hotels one by one."""
        return any(bus.ready for bus in self._buses)

    @property
    def waiting(self) -> int:
        """See `MessageBus`."""
        return sum(bus.waiting for bus in self._buses)

    async def ask(self, envelope: Envelope) -> Result:
        """See `MessageBus`."""
        return await self._buses[partition_of(envelope.message.hotel, len(self._buses))].ask(envelope)

    async def fault(self) -> str:
        """See `MessageBus`. Empty where any partition can carry out commands."""
        faults = await asyncio.gather(*(bus.fault() for bus in self._buses))
        return faults[0] if all(faults) else ""

    async def clock_doubt(self) -> str:
        """See `MessageBus`. That of any partition."""
        doubts = await asyncio.gather(*(bus.clock_doubt() for bus in self._buses))
        return next(filter(None, doubts), "")

    async def is_erasing(self, hotel: str) -> bool:
        """See `MessageBus`."""
        return await self._buses[partition_of(hotel, len(self._buses))].is_erasing(hotel)

    async def positions(self, hotel: str | None = None) -> Positions:
        """See `MessageBus`."""
        if hotel is not None:
            return await self._buses[partition_of(hotel, len(self._buses))].positions(hotel)
        ends: Positions = {}
        for bus in self._buses:
            ends |= await bus.positions()
        return ends


class PartitionedViews:
    """A `Views` over the read models of all partitions."""

    def __init__(self, views: Mapping[str, Views]) -> None:
        """`views` are those of the partitions in their order, by the name of their log."""
        self._views = [*views.values()]

    def hotels(self, positions: Positions, limit: int, cursor: str | None) -> tuple[list[Hotel], str | None]:
        """See `Views`."""
        if cursor is not None and self._of(cursor).chart(positions, cursor, date.min, date.min) is None:
            raise InvalidCursor(cursor)
        parts = (views.hotels(positions, limit, cursor) for views in self._views)
        found, cursors = zip(*parts, strict=True)
        listed = sorted((hotel for part in found for hotel in part), key=lambda hotel: hotel.id)
        more = len(listed) > limit or any(cursors)
        return listed[:limit], listed[limit - 1].id if more else None

    def bookings(self, positions: Positions, search: BookingSearch, limit: int, cursor: str | None) -> BookingPage:
        """See `Views`."""
        return self._of(search.hotel).bookings(positions, search, limit, cursor)

    def booking(self, positions: Positions, hotel: str, booking: str) -> Booking | None:
        """See `Views`."""
        return self._of(hotel).booking(positions, hotel, booking)

    def guest(self, positions: Positions, hotel: str, guest: str) -> KnownGuest:
        """See `Views`."""
        return self._of(hotel).guest(positions, hotel, guest)

    def history(self, positions: Positions, hotel: str, booking: str) -> list[LogEntry]:
        """See `Views`."""
        return self._of(hotel).history(positions, hotel, booking)

    def chart(self, positions: Positions, hotel: str, start: date, end: date) -> tuple[Hotel, list[Booking]] | None:
        """See `Views`."""
        return self._of(hotel).chart(positions, hotel, start, end)

    def _of(self, hotel: str) -> Views:
        return self._views[partition_of(hotel, len(self._views))]
