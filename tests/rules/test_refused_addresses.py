"""A guest's address that refuses letters: the event in reservations, and what notifications does with it."""

from typing import Any

import msgspec
import pytest
from innkeeper.actors.notifications.rules.notices import forgotten
from innkeeper.actors.reservations.rules.decisions import decide
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.notifications.notices import Notice, NoticeKind, Recipient
from innkeeper.protocol.notifications.terms import NotificationTerms
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.commands import ReportAddress
from innkeeper.protocol.reservations.requests import Contact, ContactChange
from innkeeper.protocol.values.guests import Guest, GuestDetails, StoredGuest
from support.notifications_fixture import ANN, NotificationsFixture
from support.partition_fixture import HOTEL

REPLY = "550 5.1.1"
DESK = "desk@seaside.example.com"


@pytest.fixture
def hotel() -> NotificationsFixture:
    return NotificationsFixture()


def refused(hotel: NotificationsFixture, booking: Any) -> list[Notice]:
    """Handle the event that a letter about this booking was refused; its notices."""
    event = events.GuestAddressRefused(booking.guest.id, booking.id, "confirmation", REPLY)
    return hotel.apply_events((event,))


def report(hotel: NotificationsFixture, known: Guest | None, email: str, reply: str) -> list[Any]:
    """The events that follow from a report about a guest with these details."""
    guest = None if known is None else StoredGuest(HOTEL, known, b"salt")
    command = ReportAddress(HOTEL, "g-1", booking="b-1", email=email, letter="confirmation", reply=reply)
    return [record.event for record in decide(hotel.state, Envelope(command, guest=guest)).records]


def test_a_report_is_an_event_unless_the_guest_has_another_address_by_now(hotel: NotificationsFixture) -> None:
    ann = Guest("g-1", 3, b"hash", GuestDetails("Ann", "ann@example.com"))
    assert report(hotel, ann, "ann@example.com", REPLY) == [
        events.GuestAddressRefused("g-1", "b-1", "confirmation", REPLY)
    ]
    assert report(hotel, ann, "ann@example.com", "") == [events.GuestAddressAccepted("g-1", "b-1")]
    assert report(hotel, ann, "old@example.com", REPLY) == []
    assert report(hotel, msgspec.structs.replace(ann, details=None), "ann@example.com", REPLY) == []
    with pytest.raises(Refused):
        report(hotel, None, "ann@example.com", REPLY)


def test_the_hotel_gets_one_letter_where_it_has_an_address(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    assert refused(hotel, booking) == []
    assert hotel.known_hotel is not None
    hotel.known_hotel = msgspec.structs.replace(hotel.known_hotel, terms=NotificationTerms(email=DESK))
    assert refused(hotel, booking) == [], "the booking is marked already"
    other = hotel.book(arrival=40)
    (told,) = refused(hotel, other)
    assert (told.kind, told.recipient, told.reason) == (
        NoticeKind.ADDRESS_REFUSED, Recipient(hotel.known_hotel.facts.name, DESK), REPLY
    )  # fmt: skip
    assert (told.booking, told.stay.guest, told.is_to_guest) == (other.id, ANN.name, False)


@pytest.mark.parametrize(
    ("change", "marked"),
    [
        ({"email": "ann@example.org"}, False),
        ({"email": None}, False),
        ({"name": "Ann Reid"}, True),
        ({"phone": "+351 123"}, True),
    ],
)
def test_the_mark_stays_until_the_address_is_another(
    hotel: NotificationsFixture, change: dict[str, Any], marked: bool
) -> None:  # fmt: skip
    booking = hotel.book()
    refused(hotel, booking)
    known = hotel.known_bookings[booking.id]
    assert known.refused is not None
    assert (known.refused.reply, known.refused.letter) == (REPLY, "confirmation")
    hotel.change(booking, guest=ContactChange(**change))
    assert (hotel.known_bookings[booking.id].refused is not None) is marked


def test_the_mark_is_removed_when_a_letter_is_accepted_and_with_the_details_of_the_guest(
    hotel: NotificationsFixture,
) -> None:
    booking = hotel.book()
    refused(hotel, booking)
    assert forgotten(hotel.known_bookings[booking.id]).refused is None
    hotel.apply_events((events.GuestAddressAccepted(booking.guest.id, booking.id),))
    assert hotel.known_bookings[booking.id].refused is None


def test_an_unknown_booking_is_no_error(hotel: NotificationsFixture) -> None:
    for event in (
        events.GuestAddressRefused("g-9", "b-9", "confirmation", REPLY), events.GuestAddressAccepted("g-9", "b-9")
    ):  # fmt: skip
        assert hotel.handle_record(RecordedEvent(HOTEL, 9, 1, "", "", "", event)) == ()
    hotel.execute(commands.RollBusinessDate(HOTEL))
    hotel.book(guest=Contact("Ann", None))
