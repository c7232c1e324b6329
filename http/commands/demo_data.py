"""The demo data: two hotels, and several hundred realistic bookings around the current date."""

import asyncio
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from random import Random

from innkeeper.protocol.billing.commands import ChangeBillingTerms
from innkeeper.protocol.billing.replies import LedgerReply
from innkeeper.protocol.billing.terms import BankAccountRequest, BillingTermsRequest, PartyRequest
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import Refusal
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.message_bus import MessageBus, Services
from innkeeper.protocol.ports.subscriptions import AwaitSubscriber
from innkeeper.protocol.reservations.commands import BookRoom, CancelBooking, CheckInGuest, OpenHotel, PinBooking
from innkeeper.protocol.reservations.hotel import HotelClock
from innkeeper.protocol.reservations.refusals import SoldOut
from innkeeper.protocol.reservations.replies import BookingReply, HotelReply
from innkeeper.protocol.reservations.requests import BookingRequest, Contact, HotelRequest, RoomTypeRequest
from innkeeper.protocol.reservations.terms import DepositRequest, TaxRequest
from innkeeper.protocol.values.contexts import BILLING, RESERVATIONS
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.taxes import ChargeKind
from tqdm import tqdm

_ROOM_CHARGES = (ChargeKind.ROOM, ChargeKind.FEE)
_MEAL_CHARGES = (ChargeKind.BREAKFAST, ChargeKind.RESTAURANT)
_OTHER_CHARGES = tuple(kind for kind in ChargeKind if kind not in (*_ROOM_CHARGES, *_MEAL_CHARGES))
HOTELS = (
    HotelRequest(
        id="hotel-do-mar",
        name="Hotel do Mar, Faro",
        timezone="Europe/Lisbon",
        currency="EUR",
        clock=HotelClock.SIMULATED,
        night_audit="03:00",
        room_types=(
            RoomTypeRequest("SGL", "Single, courtyard", 1, Money("74.00", "EUR"), room_count=6),
            RoomTypeRequest("DBL", "Double, sea view", 2, Money("128.00", "EUR"), room_count=18),
            RoomTypeRequest("FAM", "Family, two rooms", 4, Money("189.00", "EUR"), room_count=8),
            RoomTypeRequest("STE", "Suite, roof terrace", 3, Money("310.00", "EUR"), rooms=("501", "502", "503")),
        ),
        taxes=(
            TaxRequest(code="VAT6", name="IVA 6 %", applies_to=_ROOM_CHARGES, rate="6", included=True),
            TaxRequest(code="VAT13", name="IVA 13 %", applies_to=_MEAL_CHARGES, rate="13", included=True),
            TaxRequest(code="VAT23", name="IVA 23 %", applies_to=_OTHER_CHARGES, rate="23", included=True),
            TaxRequest(
                code="CITY",
                name="City tax",
                applies_to=(ChargeKind.ROOM,),
                amount=Money("2.00", "EUR"),
                exempt_below=16,
            ),
        ),
        deposits=(DepositRequest(30, 14),),
    ),
    HotelRequest(
        id="kestrel-inn",
        name="The Kestrel Inn, Edinburgh",
        timezone="Europe/London",
        currency="GBP",
        clock=HotelClock.SIMULATED,
        check_in="14:00",
        check_out="10:30",
        night_audit="02:30",
        room_types=(
            RoomTypeRequest("TWN", "Twin", 2, Money("96.00", "GBP"), room_count=9),
            RoomTypeRequest("DBL", "Double, castle view", 2, Money("115.00", "GBP"), room_count=12),
            RoomTypeRequest("FAM", "Family, under the roof", 5, Money("162.00", "GBP"), rooms=("R1", "R2", "R3", "R4")),
        ),
        taxes=(TaxRequest(code="VAT20", name="VAT 20 %", applies_to=tuple(ChargeKind), rate="20", included=True),),
    ),
)
BILLING_TERMS = {
    "hotel-do-mar": BillingTermsRequest(
        seller=PartyRequest(
            "Hotel do Mar, Exploração Hoteleira, Lda.",
            ("Rua da Marina 12",),
            "999999990",
            "8000-000",
            "Faro",
            "PT",
            "PT999999990",
        ),
        invoice_prefix="FT-{year}-",
        credit_note_prefix="NC-{year}-",
        bank=BankAccountRequest("PT50000201231234567890154", "CGDIPTPL"),
    ),
    "kestrel-inn": BillingTermsRequest(
        seller=PartyRequest("The Kestrel Inn Ltd", ("7 Castle Wynd",), "", "EH1 2NG", "Edinburgh", "GB", "GB999999973"),
    ),
}
BOOKINGS_PER_HOTEL = 400
_SEED = 1889
_GIVEN = (
    "Ana", "Rui", "Inês", "Tiago", "Maeve", "Callum", "Isla", "Ewan", "Sofia", "Mateus",
    "Yuki", "Haruto", "Léa", "Jonas", "Priya", "Arjun", "Nora", "Emil", "Zofia", "Luca",
)  # fmt: skip
_FAMILY = (
    "Almeida", "Ferreira", "Lopes", "Reid", "Campbell", "Fraser", "Sato",
    "Tanaka", "Moreau", "Lindqvist", "Sharma", "Kowalska", "Rossi", "Okafor", "Byrne",
)  # fmt: skip
_NOTES = ("", "", "", "", "Late arrival, around 22:30", "Ground floor if possible", "Anniversary", "Cot in the room")
_SOURCES = ("direct", "direct", "phone", "booking-site", "travel-agency")


class DemoDataError(RuntimeError):
    """A hotel of the demo could not be opened."""


async def load_demo_data(buses: Mapping[str, MessageBus], services: Services) -> None:
    """Opens the demo's hotels, sets their billing terms, and makes their bookings. Does nothing where the data
    directory has events already."""
    bus = buses[RESERVATIONS]
    if any((await bus.positions()).values()):
        return
    total, hidden = len(HOTELS) * BOOKINGS_PER_HOTEL, not sys.stderr.isatty()
    with tqdm(total=total, desc="demo data", unit=" bookings", disable=hidden) as bar:
        for hotel in HOTELS:
            opened = await _ask(bus, OpenHotel(hotel.id or "", hotel))
            if not isinstance(opened, HotelReply):
                raise DemoDataError(f"{hotel.name} could not be opened: {opened}")
            await services.ask(AwaitSubscriber(BILLING, opened.hotel.id, await bus.positions(opened.hotel.id)))
            billed = await _ask(buses[BILLING], ChangeBillingTerms(opened.hotel.id, BILLING_TERMS[opened.hotel.id]))
            if not isinstance(billed, LedgerReply):
                raise DemoDataError(f"the billing terms of {hotel.name} could not be set: {billed}")
            random = Random(f"{_SEED} {hotel.id}")
            for _ in range(0, BOOKINGS_PER_HOTEL, 20):
                requests = [_request(hotel, opened.hotel.business_date, random) for _ in range(20)]
                await asyncio.gather(*(_book(bus, hotel.id or "", request, random.random()) for request in requests))
                bar.update(20)


async def _book(bus: MessageBus, hotel: str, request: BookingRequest, fate: float) -> None:
    """Makes a booking, and cancels, pins or checks in some of them, as `fate` (0 to 1) selects."""
    booked = await _ask(bus, BookRoom(hotel, request, request.guest.id))
    if not isinstance(booked, BookingReply):
        assert isinstance(booked, SoldOut), booked
        return
    booking = booked.booking
    if booking.status == "confirmed" and fate < 0.08:
        await _ask(bus, CancelBooking(hotel, booking.id, "change of plans"))
    elif booking.status == "confirmed" and fate > 0.94:
        await _ask(bus, PinBooking(hotel, booking.id))
    elif fate > 0.25:
        await _ask(bus, CheckInGuest(hotel, booking.id))  # refused for those who arrive later


def _request(hotel: HotelRequest, today: date, random: Random) -> BookingRequest:
    (kind,) = random.choices(
        hotel.room_types, [room_type.room_count or len(room_type.rooms) for room_type in hotel.room_types]
    )
    arrival = today + timedelta(days=0 if random.random() < 0.12 else int(random.triangular(0, 70, 3)))
    nights = random.choice((1, 1, 2, 2, 2, 3, 3, 4, 5, 7, 10))
    given, family = random.choice(_GIVEN), random.choice(_FAMILY)
    adults = random.randint(1, min(kind.max_guests, 2))
    children = tuple(random.randint(1, 15) for _ in range(random.randint(0, kind.max_guests - adults)))
    held = random.random() < 0.06
    return BookingRequest(
        room_type=kind.code,
        arrival=arrival,
        departure=arrival + timedelta(days=nights),
        guest=Contact(f"{given} {family}", f"{given}.{family}@example.com".lower(), None),
        adults=adults,
        children=children if kind.max_guests > 2 else (),
        status="held" if held else "confirmed",
        hold_seconds=random.randrange(3_600, 86_400) if held else None,
        notes=random.choice(_NOTES),
        source=random.choice(_SOURCES),
    )


async def _ask(bus: MessageBus, command: Command) -> Reply | Refusal:
    result = await bus.ask(Envelope(command, by="furnishing"))
    return result.response
