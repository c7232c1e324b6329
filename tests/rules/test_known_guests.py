"""A known guest has one set of contact data: at all stays that can still take place, and in the next booking."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.reservations import commands, queries
from innkeeper.protocol.reservations.booking import Booking, BookingStatus
from innkeeper.protocol.reservations.events import WaitlistChanged
from innkeeper.protocol.reservations.hotel_requests import HotelChange, RoomTypeChange
from innkeeper.protocol.reservations.reasons import DepartureReason
from innkeeper.protocol.reservations.replies import BookingReply, GuestReply, WaitlistReply
from innkeeper.protocol.reservations.requests import (
    BookingChange,
    BookingRequest,
    Contact,
    ContactChange,
    WaitlistChange,
    WaitlistRequest,
)
from innkeeper.protocol.values.guests import Guest
from support.partition_fixture import HOTEL, PartitionFixture, night, partition_fixture, request

OLD, NEW = "old@example.com", "new@example.com"


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[PartitionFixture]:
    """A hotel with four doubles for four guests, and one suite, and another hotel."""
    with partition_fixture(tmp_path / "journal.db") as opened:
        opened.open_hotel({"DBL": 4, "STE": 1}, max_guests=4)
        opened.open_hotel({"DBL": 2}, hotel="other")
        yield opened


def booking_of(guest: Contact, arrival: int = 1, room_type: str = "DBL", **more: Any) -> commands.BookRoom:
    stay = BookingRequest(
        room_type=room_type, arrival=night(arrival), departure=night(arrival + 1), guest=guest, **more
    )  # fmt: skip
    return commands.BookRoom(HOTEL, stay, guest=guest.id)


def book(partition: PartitionFixture, guest: Contact, *dates: Any, **more: Any) -> Booking:
    return partition.booking_after(booking_of(guest, *dates, **more))


def change(booking: str, **contact: Any) -> commands.ChangeBooking:
    return commands.ChangeBooking(HOTEL, booking, BookingChange(guest=ContactChange(**contact)))


def wait(partition: PartitionFixture, guest: Contact, arrival: int = 1, **more: Any) -> str:
    """Waits for the suite; the id of the entry."""
    stay = WaitlistRequest(room_type="STE", arrival=night(arrival), departure=night(arrival + 1), guest=guest, **more)
    reply = partition.execute(commands.JoinWaitlist(HOTEL, stay, guest=guest.id))
    assert isinstance(reply, WaitlistReply), reply
    return reply.entries[0].id


def find(partition: PartitionFixture, booking: str) -> Booking:
    reply = partition.execute(queries.FindBooking(HOTEL, booking))
    assert isinstance(reply, BookingReply), reply
    return reply.booking


def email(partition: PartitionFixture, booking: str) -> str | None:
    details = find(partition, booking).guest.details
    return details and details.email


def newest(partition: PartitionFixture, guest: str) -> str | None:
    reply = partition.execute(queries.FindGuest(HOTEL, guest))
    assert isinstance(reply, GuestReply), reply
    return reply.guest.details and reply.guest.details.email


def assert_versions_are_numbers_of_events(partition: PartitionFixture) -> None:
    """Each version of a guest first stands in the event whose number it has."""
    seen: set[tuple[str, str, int]] = set()
    for _, record in partition.host.journal.read():
        guest = getattr(record.event, "guest", None)
        if isinstance(guest, Guest) and (record.hotel, *guest.key) not in seen:
            assert guest.version == record.hotel_seq, record
            seen.add((record.hotel, *guest.key))
    assert seen


def test_a_version_of_a_guest_has_the_number_of_its_event(partition: PartitionFixture) -> None:
    first = book(partition, Contact("Ann", OLD))
    guest = Contact(id=first.id)
    second = book(partition, guest, 2, notes="late")
    taken = book(partition, Contact("Bea"), 3, "STE")
    wait(partition, guest, 3, notes="sea")
    for command in (
        change(first.id, email=NEW),
        commands.ChangeBooking(HOTEL, first.id, BookingChange(notes="early")),
        change(second.id, phone="+351 1", name="Ann Smith"),
        commands.CancelBooking(HOTEL, taken.id),
        change(first.id, email=OLD),
    ):
        partition.booking_after(command)
    for arrival, room in ((1, "101"), (2, "102")):
        pinned = partition.booking_after(commands.BookRoom("other", request(arrival, 1, room=room)))
        partition.booking_after(commands.UnpinBooking("other", pinned.id))
    partition.booking_after(commands.BookRoom("other", request(1, 2)))  # another booking is moved for it before
    assert_versions_are_numbers_of_events(partition)


def test_a_change_that_only_other_bookings_need_keeps_every_hotel_of_its_batch(partition: PartitionFixture) -> None:
    """The booking has the address already; the ended one had kept its own when it came back."""
    first = book(partition, Contact("Ann", OLD))
    second = book(partition, Contact(id=first.id))
    partition.booking_after(commands.CancelBooking(HOTEL, second.id))
    partition.booking_after(change(first.id, email=NEW))
    partition.booking_after(commands.ReinstateBooking(HOTEL, second.id))
    partition.booking_after(change(first.id, email=NEW))
    notes = commands.ChangeBooking(HOTEL, first.id, BookingChange(notes="late"))
    replies = partition.execute_batch([notes, commands.BookRoom("other", request(1, 1))])
    assert [type(reply) for reply in replies] == [BookingReply, BookingReply]
    assert_versions_are_numbers_of_events(partition)


@pytest.mark.parametrize("batches", [1, 2])
def test_a_booking_right_after_a_change_has_the_new_address(partition: PartitionFixture, batches: int) -> None:
    """Also where the change is in the same batch, or in one that is not on disk yet."""
    first = book(partition, Contact("Ann", OLD))
    messages = [Envelope(change(first.id, email=NEW)), Envelope(booking_of(Contact(id=first.id), notes="x"))]
    decided = [partition.host.decide(messages[start : start + 2 // batches]) for start in range(0, 2, 2 // batches)]
    assert partition.host.write(decided)
    partition.host.sync(decided)
    *_, (*_, booked) = partition.host.release(decided)
    assert isinstance(booked.response, BookingReply)
    assert booked.response.booking.guest.details is not None
    assert booked.response.booking.guest.details.email == NEW == newest(partition, first.id)


def test_a_reported_address_is_compared_with_one_given_in_the_same_batch(partition: PartitionFixture) -> None:
    first = book(partition, Contact("Ann", OLD))
    position = partition.host.journal.position()
    report = commands.ReportAddress(HOTEL, first.id, first.id, OLD, letter="confirmation", reply="550 5.1.1")
    partition.execute_batch([change(first.id, email=NEW), report])
    assert partition.host.journal.position() == position + 1  # the old address is of no interest any more


def test_a_guest_forgotten_in_the_same_batch_is_not_known_by_a_change_in_it(partition: PartitionFixture) -> None:
    first = book(partition, Contact("Ann", OLD))
    replies = partition.execute_batch(
        [
            change(first.id, email=NEW),
            commands.CancelBooking(HOTEL, first.id),
            commands.ForgetGuest(HOTEL, first.id),
            queries.FindGuest(HOTEL, first.id),
        ]
    )
    assert isinstance(replies[-1], GuestReply)
    assert replies[-1].guest.details is None


def cancelled(partition: PartitionFixture, booking: Booking) -> commands.BookingCommand:
    partition.booking_after(commands.CancelBooking(HOTEL, booking.id))
    return commands.ReinstateBooking(HOTEL, booking.id)


def no_show(partition: PartitionFixture, booking: Booking) -> commands.BookingCommand:
    partition.booking_after(commands.MarkNoShow(HOTEL, booking.id))
    return commands.ReinstateBooking(HOTEL, booking.id)


def checked_out(partition: PartitionFixture, booking: Booking) -> commands.BookingCommand:
    partition.booking_after(commands.CheckInGuest(HOTEL, booking.id))
    partition.booking_after(commands.CheckOutGuest(HOTEL, booking.id, DepartureReason.DAY_USE))
    return commands.UndoCheckOut(HOTEL, booking.id)


@pytest.mark.parametrize("end", [cancelled, no_show, checked_out])
def test_a_booking_that_comes_back_has_the_new_address(partition: PartitionFixture, end: Any) -> None:
    first = book(partition, Contact("Ann", OLD), 3)
    second = book(partition, Contact(id=first.id), 0, notes="late")
    back = end(partition, second)
    partition.booking_after(change(first.id, email=NEW))
    again = partition.booking_after(back)
    assert again.guest.details is not None
    assert (again.guest.details.email, again.guest.details.notes) == (NEW, "late")
    partition.booking_after(commands.ChangeBooking(HOTEL, second.id, BookingChange(notes="early")))
    assert newest(partition, first.id) == NEW


def test_a_hold_that_has_ended_keeps_its_address(partition: PartitionFixture) -> None:
    first = book(partition, Contact("Ann", OLD))
    held = book(partition, Contact(id=first.id), status="held")
    partition.booking_after(commands.ReleaseHold(HOTEL, held.id))
    partition.booking_after(change(first.id, email=NEW))
    assert email(partition, held.id) == OLD


def test_an_offer_goes_to_the_new_address_of_a_guest_who_waits(partition: PartitionFixture) -> None:
    first = book(partition, Contact("Ann", OLD))
    taken = book(partition, Contact("Bea"), 1, "STE")
    entry = wait(partition, Contact(id=first.id), notes="sea view")
    behind = wait(partition, Contact("Cleo"))
    position = partition.host.journal.position()
    partition.booking_after(change(first.id, email=NEW))
    done: list[Event] = [record.event for _, record in partition.host.journal.read(position)]
    assert [event.entry for event in done if isinstance(event, WaitlistChanged)] == [entry]
    listed = partition.execute(queries.ListWaitlist(HOTEL))
    assert isinstance(listed, WaitlistReply)
    assert [(one.id, one.version) for one in listed.entries] == [(entry, 2), (behind, 1)]  # it keeps its place
    partition.booking_after(commands.CancelBooking(HOTEL, taken.id))
    offered = find(partition, entry)
    assert offered.status is BookingStatus.HELD
    assert offered.guest.details is not None
    assert (offered.guest.details.email, offered.guest.details.notes) == (NEW, "sea view")
    assert newest(partition, first.id) == NEW


def test_a_change_of_an_entry_reaches_the_guests_other_entries(partition: PartitionFixture) -> None:
    for arrival in (1, 3):
        book(partition, Contact("Bea"), arrival, "STE")
    one = wait(partition, Contact("Ann", OLD), 1)
    other = wait(partition, Contact(id=one), 3)
    reply = partition.execute(commands.ChangeWaitlistEntry(HOTEL, one, WaitlistChange(guest=ContactChange(email=NEW))))
    assert isinstance(reply, WaitlistReply)
    listed = partition.execute(queries.ListWaitlist(HOTEL))
    assert isinstance(listed, WaitlistReply)
    assert reply.entries[0] == listed.entries[0]
    assert [(entry.id, entry.guest.details and entry.guest.details.email) for entry in listed.entries] == [
        (one, NEW), (other, NEW)
    ]  # fmt: skip
    assert_versions_are_numbers_of_events(partition)


def resized(partition: PartitionFixture, max_guests: int) -> None:
    partition.execute(commands.ChangeRoomType(HOTEL, "STE", RoomTypeChange(max_guests=max_guests)))


def test_an_offer_needs_a_room_that_takes_the_guests(partition: PartitionFixture) -> None:
    """The next entry gets the room where the type takes fewer guests by now."""
    taken = book(partition, Contact("Ann"), 1, "STE")
    four, two = wait(partition, Contact("Bea"), adults=4), wait(partition, Contact("Cleo"), adults=2)
    resized(partition, 2)
    partition.booking_after(commands.CancelBooking(HOTEL, taken.id))
    assert find(partition, two).status is BookingStatus.HELD
    partition.booking_after(commands.ReleaseHold(HOTEL, two))
    assert [entry.id for entry in partition.execute(queries.ListWaitlist(HOTEL)).entries] == [four]  # type: ignore[union-attr]


def larger_type(partition: PartitionFixture, entry: str) -> None:
    resized(partition, 4)


def smaller_party(partition: PartitionFixture, entry: str) -> None:
    partition.execute(commands.ChangeWaitlistEntry(HOTEL, entry, WaitlistChange(adults=2, children=())))


def uncounted_infants(partition: PartitionFixture, entry: str) -> None:
    partition.execute(commands.ChangeHotel(HOTEL, HotelChange(infants_below=3)))


@pytest.mark.parametrize("fit", [larger_type, smaller_party, uncounted_infants])
def test_an_entry_gets_the_free_room_as_soon_as_it_takes_the_guests(partition: PartitionFixture, fit: Any) -> None:
    taken = book(partition, Contact("Ann"), 1, "STE")
    entry = wait(partition, Contact("Bea"), adults=2, children=(1,))
    resized(partition, 2)
    partition.booking_after(commands.CancelBooking(HOTEL, taken.id))
    partition.advance_clock(1)
    assert [one.id for one in partition.execute(queries.ListWaitlist(HOTEL)).entries] == [entry]  # type: ignore[union-attr]
    fit(partition, entry)
    assert find(partition, entry).status is BookingStatus.HELD
