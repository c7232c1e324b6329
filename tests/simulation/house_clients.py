"""Random requests about the hotel itself, its room types and its rooms: how a hotel changes while it is booked."""

from datetime import date, timedelta
from random import Random
from typing import Any

from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.reservations import commands, queries
from innkeeper.protocol.reservations.hotel_requests import (
    ClosureChange,
    ClosureRequest,
    HotelChange,
    RoomAddition,
    RoomChange,
    RoomTypeAddition,
    RoomTypeChange,
)
from innkeeper.protocol.reservations.room_events import ClosureKind, RoomCondition
from innkeeper.protocol.values.money import Money
from simulation.event_model import EventModel

NEW_ROOMS = ("901", "902")
MESSAGES = (
    commands.ChangeHotel, commands.AddRoomType, commands.ChangeRoomType, commands.RetireRoomType, commands.AddRoom,
    commands.RetireRoom, commands.ChangeRoom, commands.CloseRoom, commands.ChangeClosure, commands.ReopenRoom,
    queries.ListRooms,
)  # fmt: skip
_WEIGHTS = (2, 1, 2, 1, 4, 3, 8, 8, 4, 4, 3)
_CLOSING = (commands.CloseRoom, commands.ChangeClosure, commands.ReopenRoom)


class HouseClients:
    """The clients who keep a hotel. With some seeds no room is ever closed, so that P4 must hold."""

    def __init__(self, random: Random) -> None:
        self._random = random
        closes = random.random() < 0.5
        self._weights = [
            weight * (closes or kind not in _CLOSING) for kind, weight in zip(MESSAGES, _WEIGHTS, strict=True)
        ]

    def message(self, model: EventModel, hotel: str, types: list[str]) -> Command | Query:
        """The next request."""
        (kind,) = self._random.choices(MESSAGES, self._weights)
        room, code, today = self._room(model, hotel), self._random.choice([*types, "FAM"]), model.day(hotel)
        until = today + timedelta(days=self._random.randint(0, 6))
        closures = [*model.closures(hotel)] or [("101", "none")]
        closed, closure = self._random.choice(closures)
        rate = Money(f"{self._random.randint(50, 150)}.00", "EUR")
        makers: dict[type, Any] = {
            commands.ChangeHotel: lambda: commands.ChangeHotel(hotel, self._change()),
            commands.AddRoomType: lambda: commands.AddRoomType(
                hotel, RoomTypeAddition(code=code, name=code, max_guests=2, rate=rate, rooms=NEW_ROOMS[:1])
            ),
            commands.ChangeRoomType: lambda: commands.ChangeRoomType(hotel, code, RoomTypeChange(rate=rate)),
            commands.RetireRoomType: lambda: commands.RetireRoomType(hotel, code),
            commands.AddRoom: lambda: commands.AddRoom(hotel, RoomAddition(number=room, room_type=code)),
            commands.RetireRoom: lambda: commands.RetireRoom(hotel, room),
            commands.ChangeRoom: lambda: commands.ChangeRoom(
                hotel, room, RoomChange(condition=self._random.choice([*RoomCondition]))
            ),
            commands.CloseRoom: lambda: commands.CloseRoom(hotel, room, self._closure(today, until)),
            commands.ChangeClosure: lambda: commands.ChangeClosure(hotel, closed, closure, ClosureChange(until=until)),
            commands.ReopenRoom: lambda: commands.ReopenRoom(hotel, closed, closure),
            queries.ListRooms: lambda: queries.ListRooms(hotel, self._random.choice((None, room))),
        }
        made: Command | Query = makers[kind]()
        return made

    def _room(self, model: EventModel, hotel: str) -> str:
        return self._random.choice([*(model.all_rooms(hotel)), *NEW_ROOMS, "101"])

    def _closure(self, today: date, until: date) -> ClosureRequest:
        first = self._random.choice((None, today, today + timedelta(days=1)))
        return ClosureRequest(
            kind=self._random.choice([*ClosureKind, ClosureKind.OUT_OF_ORDER]), first=first, until=until
        )

    def _change(self) -> HotelChange:
        changes: tuple[dict[str, Any], ...] = (
            {"name": self._random.choice(("Grand", "Old"))},
            {"check_in": self._random.choice(("13:00", "16:00"))},
            {"housekeeping": self._random.random() < 0.5},
        )
        return HotelChange(**self._random.choice(changes))
