"""Hotels spread over partitions: whoever asks sees one desk, and one set of read models."""

from collections.abc import Mapping
from datetime import date

from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.message_bus import Envelope, MessageBus, Result
from innkeeper.protocol.ports.subscriptions import Positions
from innkeeper.protocol.ports.views import BadCursor, BookingSearch, Listed, Views
from innkeeper.protocol.reservations.booking import Booking
from innkeeper.protocol.reservations.hotel import Hotel
from innkeeper.protocol.values.contexts import partition_of


class PartitionRouter:
    """A `protocol.asking.MessageBus` before those of all partitions, in their order."""

    def __init__(self, desks: Mapping[str, MessageBus]) -> None:
        """Each under the name of its log."""
        self._desks = [*desks.values()]

    @property
    def ready(self) -> bool:
        """Does any take commands? The others' hotels are refused one by one."""
        return any(desk.ready for desk in self._desks)

    @property
    def waiting(self) -> int:
        """See `protocol.asking.MessageBus`."""
        return sum(desk.waiting for desk in self._desks)

    async def ask(self, asked: Envelope) -> Result:
        """See `protocol.asking.MessageBus`."""
        return await self._desks[partition_of(asked.message.hotel, len(self._desks))].ask(asked)

    async def positions(self, hotel: str | None = None) -> Positions:
        """See `protocol.asking.MessageBus`."""
        if hotel is not None:
            return await self._desks[partition_of(hotel, len(self._desks))].positions(hotel)
        ends: Positions = {}
        for desk in self._desks:
            ends |= await desk.positions()
        return ends


class PartitionedViews:
    """A `protocol.views.Views` over those of all partitions, in their order."""

    def __init__(self, views: Mapping[str, Views]) -> None:
        """Each under the name of its log."""
        self._views = [*views.values()]

    def hotels(self, positions: Positions, limit: int, cursor: str | None) -> tuple[list[Hotel], str | None]:
        """See `protocol.views.Views`."""
        if cursor is not None and self._of(cursor).chart(positions, cursor, date.min, date.min) is None:
            raise BadCursor(cursor)
        parts = (views.hotels(positions, limit, cursor) for views in self._views)
        found, cursors = zip(*parts, strict=True)
        listed = sorted((hotel for part in found for hotel in part), key=lambda hotel: hotel.id)
        more = len(listed) > limit or any(cursors)
        return listed[:limit], listed[limit - 1].id if more else None

    def bookings(self, positions: Positions, search: BookingSearch, limit: int, cursor: str | None) -> Listed:
        """See `protocol.views.Views`."""
        return self._of(search.hotel).bookings(positions, search, limit, cursor)

    def booking(self, positions: Positions, hotel: str, booking: str) -> Booking | None:
        """See `protocol.views.Views`."""
        return self._of(hotel).booking(positions, hotel, booking)

    def history(self, positions: Positions, hotel: str, booking: str) -> list[LogEntry]:
        """See `protocol.views.Views`."""
        return self._of(hotel).history(positions, hotel, booking)

    def chart(self, positions: Positions, hotel: str, start: date, end: date) -> tuple[Hotel, list[Booking]] | None:
        """See `protocol.views.Views`."""
        return self._of(hotel).chart(positions, hotel, start, end)

    def _of(self, hotel: str) -> Views:
        return self._views[partition_of(hotel, len(self._views))]
