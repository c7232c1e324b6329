"""While a hotel adds, retires, closes and cleans rooms, it still agrees with a naive model of its bookings."""

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from innkeeper.protocol.messages import refusals
from innkeeper.protocol.reservations import commands
from innkeeper.protocol.reservations.hotel_requests import ClosureChange, ClosureRequest, RoomAddition, RoomChange
from innkeeper.protocol.reservations.queries import ListRooms
from innkeeper.protocol.reservations.refusals import RoomClosedAlready, RoomExists, RoomNeeded
from innkeeper.protocol.reservations.replies import RoomsReply
from innkeeper.protocol.reservations.room_events import ClosureKind, RoomCondition
from support.examples import machine_settings
from support.hotel_model import ROOMS
from support.partition_fixture import HOTEL, hotel_request, night
from support.partition_machine import PartitionMachine

rooms = st.sampled_from(["101", "102", "103", "105"])
OUT_OF_ORDER = ClosureKind.OUT_OF_ORDER


class HouseMachine(PartitionMachine):
    """A hotel whose rooms change. No room is pinned, but one that is out of order can explain a refusal."""

    def __init__(self) -> None:
        super().__init__()
        self.doubles = {"101", "102", "103"}
        self.closures: dict[str, tuple[str, ClosureKind, int, int]] = {}

    @initialize(with_pins=st.just(False), housekeeping=st.booleans())
    def open_hotel(self, with_pins: bool, housekeeping: bool) -> None:
        self.execute(commands.OpenHotel(HOTEL, hotel_request(ROOMS, housekeeping=housekeeping)))

    def rooms_on(self, room_type: str, number: int) -> int:
        """How many rooms of a type can be sold in a night."""
        if room_type != "DBL":
            return ROOMS[room_type]
        closed = [
            room for room, kind, first, until in self.closures.values()
            if kind is OUT_OF_ORDER and first <= number < until
        ]  # fmt: skip
        return len(self.doubles) - len(closed)

    def is_needed(self, answer: RoomNeeded, room: str) -> bool:
        """Whether a room may be refused to be given up: while none is out of order, only where a night is full."""
        if self.has_pins or room in self.inside:
            return True
        for one in answer.displaced:
            stay = self.stays[one.booking]
            if stay.status in ("in_house", "left") or self.sold_out_nights("DBL", stay.arrival, stay.departure):
                return True
        return False

    def done(self, answer: Any, room: str) -> bool:
        """Whether a room was closed or given up."""
        if isinstance(answer, RoomNeeded):
            assert answer.displaced
            assert self.is_needed(answer, room), answer
            return False
        assert isinstance(answer, RoomsReply), answer
        return True

    @rule(room=rooms)
    def add_room(self, room: str) -> None:
        answer = self.execute(commands.AddRoom(HOTEL, RoomAddition(number=room, room_type="DBL")))
        assert isinstance(answer, RoomExists if room in self.doubles else RoomsReply), answer
        self.doubles.add(room)

    @rule(room=rooms)
    def retire_room(self, room: str) -> None:
        answer = self.execute(commands.RetireRoom(HOTEL, room))
        if room not in self.doubles:
            assert answer == refusals.NotFound("room", room)
        elif self.done(answer, room):
            self.doubles.remove(room)
            self.closures = {id_: one for id_, one in self.closures.items() if one[0] != room}

    @rule(room=rooms, ahead=st.integers(0, 4), nights=st.integers(1, 4), kind=st.sampled_from(ClosureKind))
    def close_room(self, room: str, ahead: int, nights: int, kind: ClosureKind) -> None:
        first, until = self.today + ahead, self.today + ahead + nights
        request = ClosureRequest(kind=kind, first=night(first), until=night(until))
        answer = self.execute(commands.CloseRoom(HOTEL, room, request))
        if room not in self.doubles:
            assert answer == refusals.NotFound("room", room)
        elif isinstance(answer, RoomClosedAlready):
            closed, _, from_night, to_night = self.closures[answer.closure]
            assert closed == room
            assert from_night < until
            assert first < to_night
        elif self.done(answer, room):
            assert answer.closure is not None
            self.closures[answer.closure.id] = (room, kind, first, until)
            self.has_pins = self.has_pins or kind is OUT_OF_ORDER

    @rule(data=st.data(), nights=st.integers(1, 4))
    def change_closure(self, data: st.DataObject, nights: int) -> None:
        if not self.closures:
            return
        closure = data.draw(st.sampled_from(sorted(self.closures)))
        room, kind, first, _ = self.closures[closure]
        until = max(first, self.today) + nights
        answer = self.execute(commands.ChangeClosure(HOTEL, room, closure, ClosureChange(until=night(until))))
        if not isinstance(answer, RoomClosedAlready) and self.done(answer, room):
            self.closures[closure] = (room, kind, first, until)

    @rule(data=st.data())
    def reopen_room(self, data: st.DataObject) -> None:
        if self.closures:
            closure = data.draw(st.sampled_from(sorted(self.closures)))
            room, *_ = self.closures.pop(closure)
            assert isinstance(self.execute(commands.ReopenRoom(HOTEL, room, closure)), RoomsReply)

    @rule(room=rooms, condition=st.sampled_from(RoomCondition))
    def clean_room(self, room: str, condition: RoomCondition) -> None:
        answer = self.execute(commands.ChangeRoom(HOTEL, room, RoomChange(condition=condition)))
        if room in self.doubles:
            assert answer.rooms[0].condition is condition
        else:
            assert answer == refusals.NotFound("room", room)

    @rule(days=st.integers(0, 2))
    def audit(self, days: int) -> None:
        """Who stays on in a room that is out of order takes precedence."""
        super().audit(days)
        for id_, (room, kind, first, until) in [*self.closures.items()]:
            if kind is OUT_OF_ORDER and room in self.inside and first < self.today:
                self.closures[id_] = (room, kind, self.today, until)
            if until <= self.today:
                del self.closures[id_]

    @invariant()
    def the_rooms_agree_with_the_model(self) -> None:
        reply = self.partition.execute(ListRooms(HOTEL))
        if not isinstance(reply, RoomsReply):
            return
        listed = {room.number: room for room in reply.rooms if room.room_type == "DBL"}
        assert {*listed} == self.doubles
        for number, room in listed.items():
            expected = {
                (id_, kind, night(first), night(until))
                for id_, (closed, kind, first, until) in self.closures.items()
                if closed == number
            }
            assert {(one.id, one.kind, one.first, one.until) for one in room.closures} == expected
            inside = [booking.id for booking in room.in_house]
            assert inside == ([self.inside[number]] if number in self.inside else [])


TestHouse = pytest.mark.slow(HouseMachine.TestCase)
TestHouse.settings = machine_settings(examples=30, steps=40)
