"""Random requests of guests, staff and machines, given what they may know. All randomness is from one seed."""

from collections.abc import Callable
from datetime import date, timedelta
from random import Random
from typing import Any

from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.reservations import commands, queries
from innkeeper.protocol.reservations.hotel import HotelClock
from innkeeper.protocol.reservations.hotel_requests import HotelChange
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.requests import (
    BookingChange,
    BookingRequest,
    Contact,
    ContactChange,
    HotelRequest,
    RoomTypeRequest,
    WaitlistChange,
    WaitlistRequest,
)
from innkeeper.protocol.reservations.terms import CancellationRequest, DepositRequest, TaxRequest
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.taxes import ChargeKind, TaxPeriod
from simulation.client_record import ClientRecord, Request
from simulation.event_model import FIRST_DAY, LIVE, EventModel
from simulation.house_clients import HouseClients

HOTELS = ("alpha", "bravo", "carol")
TYPES = ("DBL", "SUI")
NIGHTS_AHEAD_MAX = 6
STAY_NIGHTS_MAX = 5

# The weight of each action, and the statuses of bookings to which it mostly applies.
ACTIONS: dict[type[commands.BookingCommand], tuple[int, tuple[str, ...]]] = {
    commands.ChangeBooking: (8, LIVE),
    commands.ConfirmBooking: (4, ("held",)),
    commands.ReleaseHold: (2, ("held",)),
    commands.ExtendHold: (2, ("held",)),
    commands.CancelBooking: (5, ("confirmed",)),
    commands.ReinstateBooking: (8, ("cancelled", "no_show")),
    commands.CheckInGuest: (8, ("confirmed",)),
    commands.UndoCheckIn: (1, ("in_house",)),
    commands.CheckOutGuest: (12, ("in_house",)),
    commands.UndoCheckOut: (2, ("checked_out",)),
    commands.MarkNoShow: (4, ("confirmed",)),
    commands.MoveBooking: (4, LIVE),
    commands.SwapRooms: (4, LIVE),
    commands.PinBooking: (3, ("held", "confirmed")),
    commands.UnpinBooking: (3, ("held", "confirmed")),
}
_ROOM = (ChargeKind.ROOM,)
_PIN_ACTIONS = (commands.MoveBooking, commands.SwapRooms, commands.PinBooking)


def is_simulated(hotel: str) -> bool:
    """Whether the hotel has a simulated clock."""
    return hotel == HOTELS[1]


class Clients:
    """All clients of a partition. With some seeds no room is ever pinned, so that P4 must hold."""

    def __init__(self, random: Random, record: ClientRecord) -> None:
        self._random = random
        self._record = record
        self._requests = 0
        self._with_pins = random.random() < 0.5
        self._hotel_requests = {hotel: self._hotel_request(hotel) for hotel in HOTELS[: random.randint(1, len(HOTELS))]}
        self._house = HouseClients(random)
        self._message_makers: list[tuple[int, Callable[[EventModel, str], Command | Query]]] = [
            (40, self._book), (45, self._act), (6, self._ask), (7, self._roll), (1, self._open), (8, self._wait),
            (2, self._sell), (4, self._forget), (8, self._keep_house),
        ]  # fmt: skip

    def requests(self, model: EventModel, number: int) -> list[Request]:
        """The next requests for one batch: new ones, and repeated ones."""
        return [self._repeated() or self._new(model) for _ in range(number)]

    def _repeated(self) -> Request | None:
        """Repeat an unanswered request or, more rarely, an answered one; or use its key for another message."""
        draw = self._random.random()
        if draw < 0.25 and self._record.unanswered:
            return self._random.choice(list(self._record.unanswered.values()))
        if draw > 0.95 and self._record.answered:
            earlier = self._random.choice(list(self._record.answered.values()))
            if draw > 0.98:
                other = queries.FindBooking(earlier.message.hotel, f"other-{self._requests}")
                return self._request(other, earlier.key)
            return earlier
        return None

    def _new(self, model: EventModel) -> Request:
        hotel = self._random.choice(list(self._hotel_requests))
        if model.hotel_record(hotel) is None and self._random.random() < 0.9:
            return self._request(self._open(model, hotel), self._key())
        weights, makers = zip(*self._message_makers, strict=True)
        while True:
            (make_message,) = self._random.choices(makers, weights)
            try:
                message = make_message(model, hotel)
            except Refused:  # an invalid value, which no client can send
                continue
            return self._request(message, self._key(), self._version(model, message))

    def _request(self, message: Command | Query, key: str | None, if_version: int | None = None) -> Request:
        self._requests += 1
        return Request(f"request-{self._requests}", message, key, if_version)

    def _key(self) -> str | None:
        return f"key-{self._requests}" if self._random.random() < 0.7 else None

    def _version(self, model: EventModel, message: Command | Query) -> int | None:
        facts = model.bookings.get(getattr(message, "booking", ""))
        if facts is None or isinstance(message, Query) or self._random.random() < 0.85:
            return None
        return facts.version - (self._random.random() < 0.4)

    def _hotel_request(self, hotel: str) -> HotelRequest:
        """A hotel so small that bookings conflict."""
        kinds = TYPES[: self._random.randint(1, len(TYPES))]
        audits = ("manual", "manual", "03:00", "02:30", "23:30")
        return HotelRequest(
            name=hotel.title(),
            timezone=self._random.choice(("Europe/Lisbon", "Europe/Berlin", "Pacific/Auckland", "UTC")),
            currency="EUR",
            night_audit=self._random.choice(audits),
            business_date=self._random.choice((None, FIRST_DAY)) if is_simulated(hotel) else None,
            clock=HotelClock.SIMULATED if is_simulated(hotel) else HotelClock.WALL,
            housekeeping=self._random.random() < 0.5,
            room_types=tuple(
                RoomTypeRequest(kind, kind, 2, Money("100.00", "EUR"), room_count=self._random.randint(1, 4))
                for kind in kinds
            ),
        )

    def _open(self, _: EventModel, hotel: str) -> Command:
        return commands.OpenHotel(hotel, self._hotel_requests[hotel])

    def _ask(self, model: EventModel, hotel: str) -> Query:
        kind = self._random.choice((queries.DescribeHotel, queries.FindAvailability, queries.FindBooking))
        if kind is queries.FindAvailability:
            arrival, departure = self._stay(model, hotel)
            return queries.FindAvailability(hotel, max(arrival, self._today(model, hotel)), departure)
        if kind is queries.FindBooking:
            return queries.FindBooking(hotel, self._booking(model, hotel, LIVE))
        return queries.DescribeHotel(hotel)

    def _roll(self, model: EventModel, hotel: str) -> Command | Query:
        today, kind = self._today(model, hotel), self._random.random()
        if kind < 0.1:
            return queries.PreviewNightAudit(hotel)
        confirms = self._random.random() < 0.2
        if kind < 0.4:
            return commands.RollBusinessDate(hotel, confirm_clock=confirms)
        if kind < 0.6 and is_simulated(hotel):
            return commands.RollBusinessDate(hotel, today + timedelta(days=self._random.choice((0, 1, 1, 2, 3))))
        day = today + timedelta(days=self._random.choice((-40, -2, -1, 0, 0, 0, 0, 1, 365)))
        return commands.RollBusinessDate(hotel, None, day, self._random.random() < 0.5, confirms)

    def _book(self, model: EventModel, hotel: str) -> Command:
        arrival, departure = self._stay(model, hotel)
        held = self._random.random() < 0.25
        room = self._room(model, hotel) if self._with_pins and self._random.random() < 0.15 else None
        request = BookingRequest(
            room_type=self._type(hotel),
            arrival=arrival,
            departure=departure,
            adults=self._random.choice((1, 1, 1, 2, 2, 2, 2, 3)),
            guest=self._guest(model, hotel),
            status="held" if held else "confirmed",
            hold_seconds=self._random.choice((None, 60, 3_600, 86_400)) if held else None,
            room=room,
            allow_split=self._with_pins and room is None and self._random.random() < 0.3,
        )
        return commands.BookRoom(hotel, request, request.guest.id)

    def _sell(self, _: EventModel, hotel: str) -> Command:
        """Other terms of sale: the taxes, the deposits or the cancellation policy."""
        chance = self._random
        taxes = (
            TaxRequest(code="VAT", name="VAT", applies_to=_ROOM, rate="6", included=chance.random() < 0.5),
            TaxRequest(code="CITY", name="City", applies_to=_ROOM, amount=Money("2.00", "EUR"), nights_max=2),
            TaxRequest(code="FEE", name="Fee", applies_to=_ROOM, amount=Money("10.00", "EUR"), period=TaxPeriod.STAY),
        )
        changes: tuple[dict[str, Any], ...] = (
            {"taxes": tuple(tax for tax in taxes if chance.random() < 0.6)},
            {"deposits": (DepositRequest(chance.randint(1, 100)),)},
            {
                "cancellation": CancellationRequest(
                    chance.choice((0, 6, 48)), chance.randint(0, 2), chance.randint(0, 3)
                )
            },
        )
        return commands.ChangeHotel(hotel, HotelChange(**chance.choice(changes)))

    def _wait(self, model: EventModel, hotel: str) -> Command:
        waiting = sorted(model.waiting(hotel))
        if waiting and self._random.random() < 0.2:
            return commands.LeaveWaitlist(hotel, self._random.choice(waiting))
        arrival, departure = self._stay(model, hotel)
        if waiting and self._random.random() < 0.2:
            changes: tuple[dict[str, Any], ...] = (
                {"arrival": arrival, "departure": departure},
                {"room_type": self._type(hotel)},
                {"guest": self._contact_change()},
                {"adults": self._random.randint(1, 3), "notes": f"note {self._requests}"},
            )
            change = WaitlistChange(**self._random.choice(changes))
            return commands.ChangeWaitlistEntry(hotel, self._random.choice(waiting), change)
        guest = self._guest(model, hotel)
        return commands.JoinWaitlist(
            hotel,
            WaitlistRequest(room_type=self._type(hotel), arrival=arrival, departure=departure, guest=guest),
            guest.id,
        )

    def _act(self, model: EventModel, hotel: str) -> Command:
        weights = [weight * (self._with_pins or kind not in _PIN_ACTIONS) for kind, (weight, _) in ACTIONS.items()]
        (kind,) = self._random.choices(list(ACTIONS), weights)
        booking = self._booking(model, hotel, ACTIONS[kind][1])
        if kind is commands.ChangeBooking:
            return commands.ChangeBooking(hotel, booking, self._change(model, hotel))
        if kind is commands.ExtendHold:
            return commands.ExtendHold(hotel, booking, self._random.choice((30, 600, 7_200)))
        if kind is commands.CheckInGuest:
            return commands.CheckInGuest(hotel, booking, self._random.random() < 0.5)
        if kind is commands.MoveBooking:
            return commands.MoveBooking(hotel, booking, room=self._room(model, hotel), from_=self._from(model, hotel))
        if kind is commands.SwapRooms:
            other = self._booking(model, hotel, LIVE)
            return commands.SwapRooms(hotel, booking, with_=other, from_=self._from(model, hotel))
        if kind is commands.CheckOutGuest:
            return commands.CheckOutGuest(hotel, booking, self._random.choice((None, *DepartureReason)))
        if kind in (commands.CancelBooking, commands.MarkNoShow) and self._random.random() < 0.2:
            return kind(hotel, booking, reason="goodwill", waive_fee=True)
        return kind(hotel, booking)

    def _from(self, model: EventModel, hotel: str) -> date | None:
        """Mostly now, sometimes a later night."""
        if self._random.random() < 0.7:
            return None
        return self._today(model, hotel) + timedelta(days=self._random.randint(0, STAY_NIGHTS_MAX))

    def _change(self, model: EventModel, hotel: str) -> BookingChange:
        arrival, departure = self._stay(model, hotel)
        changes: tuple[dict[str, Any], ...] = (
            {"arrival": arrival, "departure": departure},
            {"departure": departure},
            {"departure": departure},
            {"room_type": self._type(hotel)},
            {"departure": departure} | ({"room": self._room(model, hotel)} if self._with_pins else {}),
            {"guest": self._contact_change()},
            {"adults": self._random.randint(1, 3)},
            {"rate": Money(f"{self._random.randint(50, 150)}.00", "EUR")},
            {"notes": f"note {self._requests}", "departure": departure},
            {},
        )
        return BookingChange(**self._random.choice(changes))

    def _type(self, hotel: str) -> str:
        """Mostly one that the hotel has."""
        known = [kind.code for kind in self._hotel_requests[hotel].room_types]
        return self._random.choice(known if self._random.random() < 0.95 else TYPES)

    def _guest(self, model: EventModel, hotel: str) -> Contact:
        """Mostly a new one."""
        known = model.guests(hotel)
        if known and self._random.random() < 0.4:
            return Contact(id=self._random.choice([*known[-4:], "nobody"]))
        return Contact(f"Guest {self._requests}", f"{self._requests}@example.com" if self._requests % 5 else None)

    def _contact_change(self) -> ContactChange:
        email = f"{self._requests}@example.com" if self._requests % 3 else None
        return ContactChange(email=email) if self._random.random() < 0.5 else ContactChange(name="Ann", email=email)

    def _forget(self, model: EventModel, hotel: str) -> Command | Query:
        guest = self._random.choice(model.guests(hotel) or ["nobody"])
        return queries.FindGuest(hotel, guest) if self._random.random() < 0.3 else commands.ForgetGuest(hotel, guest)

    def _keep_house(self, model: EventModel, hotel: str) -> Command | Query:
        return self._house.message(model, hotel, [kind.code for kind in self._hotel_requests[hotel].room_types])

    def _today(self, model: EventModel, hotel: str) -> date:
        return model.day(hotel)

    def _stay(self, model: EventModel, hotel: str) -> tuple[date, date]:
        ahead = -1 if self._random.random() < 0.03 else self._random.choice((0, 0, 0, 1, *range(NIGHTS_AHEAD_MAX)))
        arrival = self._today(model, hotel) + timedelta(days=ahead)
        return arrival, arrival + timedelta(days=self._random.randint(1, STAY_NIGHTS_MAX))

    def _room(self, model: EventModel, hotel: str) -> str:
        hotel_record = model.hotel_record(hotel)
        return self._random.choice([*hotel_record.rooms, "999"] if hotel_record else ["101"])

    def _booking(self, model: EventModel, hotel: str, statuses: tuple[str, ...]) -> str:
        """Mostly one for which the action makes sense."""
        suitable = [id_ for id_, facts in model.bookings.items() if facts.hotel == hotel and facts.status in statuses]
        if suitable and self._random.random() < 0.9:
            return self._random.choice(suitable[-12:])
        return self._random.choice(list(model.bookings) or ["nobody"])
