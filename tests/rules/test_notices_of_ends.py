"""The guest gets a letter about every end of a promise: of a hold, a place on the waitlist, a booking, a payment."""

import pytest
from innkeeper.actors.notifications.rules.notices import UnknownGuest
from innkeeper.actors.reservations.rules.waitlist import offer_events
from innkeeper.protocol.notifications.notices import NoticeKind, Recipient
from innkeeper.protocol.reservations import commands, events
from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.reservations.reasons import CancellationReason, WaitlistReason
from innkeeper.protocol.reservations.requests import Contact, WaitlistChange, WaitlistRequest
from support.notifications_fixture import DAY, NotificationsFixture
from support.partition_fixture import HOTEL, night


@pytest.fixture
def hotel() -> NotificationsFixture:
    return NotificationsFixture()


def test_a_guest_is_told_that_a_hold_was_released_or_has_expired(hotel: NotificationsFixture) -> None:
    released = hotel.book(status="held", hold_seconds=24 * 3_600)
    hotel.book(status="held", hold_seconds=24 * 3_600)
    hotel.execute(commands.ReleaseHold(HOTEL, released.id, CancellationReason.PAYMENT))
    assert len(hotel.scheduled) == 1
    hotel.advance_clock(DAY)
    assert hotel.scheduled == {}
    assert hotel.immediate_kinds() == ["hold", "hold", "hold_released", "hold_expired"]
    assert hotel.immediate[2].reason == "payment"


def test_a_no_show_is_told_with_its_fee_and_withdraws_the_reminder(hotel: NotificationsFixture) -> None:
    hotel.book(arrival=5)
    hotel.execute(commands.RollBusinessDate(HOTEL, night(6)))
    assert (hotel.immediate_kinds(), hotel.scheduled) == (["confirmation", "no_show"], {})
    assert hotel.immediate[-1].fee == 10_000


def test_a_refund_is_told_with_its_amount(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    hotel.record_payment(booking.id)
    hotel.execute(commands.CancelBooking(HOTEL, booking.id))
    (refund,) = hotel.record_refund(booking.id, 2_000)
    assert (refund.kind, refund.amount, refund.due_at) == (NoticeKind.REFUND, 2_000, 0)
    with pytest.raises(UnknownGuest):
        hotel.record_refund("nobody")
    assert hotel.record_refund(hotel.book(guest=Contact("Ann", None, "+351 1")).id) == ()


def test_a_failed_refund_has_a_letter_where_the_refund_had_one(hotel: NotificationsFixture) -> None:
    booking = hotel.book()
    hotel.record_payment(booking.id)
    hotel.record_refund(booking.id, 2_000)
    paid = hotel.known_bookings[booking.id].paid
    (failed,) = hotel.record_failed_refund(booking.id, 2_000)
    assert (failed.kind, failed.amount, failed.due_at) == (NoticeKind.REFUND_FAILED, 2_000, 0)
    assert hotel.known_bookings[booking.id].paid == paid + 2_000
    assert hotel.record_failed_refund(booking.id, 0) == ()
    with pytest.raises(UnknownGuest):
        hotel.record_failed_refund("nobody", 2_000)


def wait_for_a_suite(hotel: NotificationsFixture) -> tuple[list[Booking], str]:
    """Book all suites of a night, and let Bea wait for one; the bookings, and the id of the entry."""
    booked = [hotel.book(arrival=30, nights=1, room_type="SUI") for _ in range(2)]
    request = WaitlistRequest(
        room_type="SUI", arrival=night(30), departure=night(31), guest=Contact("Bea", "bea@example.com"), adults=2
    )
    hotel.execute(commands.JoinWaitlist(HOTEL, request))
    (entry,) = hotel.state.waitlist
    return booked, entry


def test_a_guest_is_told_of_a_place_on_the_waitlist_and_of_its_end(hotel: NotificationsFixture) -> None:
    _, entry = wait_for_a_suite(hotel)
    joined = hotel.immediate[-1]
    assert (joined.kind, joined.recipient) == (NoticeKind.WAITLIST_JOINED, Recipient("Bea", "bea@example.com"))
    assert (joined.stay.room_type, joined.stay.adults, joined.locator, joined.booking) == ("Type SUI", 2, "", entry)
    assert hotel.execute(commands.ChangeWaitlistEntry(HOTEL, entry, WaitlistChange(notes="quiet"))) == []
    (again,) = hotel.execute(commands.ChangeWaitlistEntry(HOTEL, entry, WaitlistChange(adults=1)))
    assert (again.kind, again.stay.adults) == (NoticeKind.WAITLIST_JOINED, 1)
    (left,) = hotel.execute(commands.LeaveWaitlist(HOTEL, entry))
    assert (left.kind, left.reason, left.stay) == (NoticeKind.WAITLIST_LEFT, "withdrawn", again.stay)


def test_a_guest_who_got_no_room_is_told_when_the_day_of_arrival_is_over(hotel: NotificationsFixture) -> None:
    _, entry = wait_for_a_suite(hotel)
    (left,) = hotel.apply_events((events.WaitlistLeft(entry, WaitlistReason.LAPSED),))
    assert (left.kind, left.reason, left.recipient.name) == (NoticeKind.WAITLIST_LEFT, "lapsed", "Bea")


def test_an_offer_that_expires_is_told_as_such(hotel: NotificationsFixture) -> None:
    booked, entry = wait_for_a_suite(hotel)
    hotel.execute(commands.CancelBooking(HOTEL, booked[0].id))
    hotel.apply_events(offer_events(hotel.state, hotel.at)[1])
    assert hotel.immediate[-1].kind is NoticeKind.WAITLIST_OFFER
    assert hotel.known_bookings[entry].status is BookingStatus.HELD
    hotel.change(hotel.state.bookings[entry], adults=1)
    hotel.advance_clock(2 * DAY)
    assert hotel.immediate[-1].kind is NoticeKind.WAITLIST_OFFER_EXPIRED
    assert hotel.scheduled_kinds() == ["reminder"], "of the booking that was not cancelled"
