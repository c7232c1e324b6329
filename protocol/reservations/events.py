"""The events of a hotel: past tense, one fact each, immutable; the state of a hotel is the fold of its events.

An event names its guest by id, version and hash (`guest`); the details are kept beside the events, see `values.guests`.
Amounts are minor units of the hotel's currency; instants are microseconds since 1970 UTC.
"""

from datetime import date
from typing import ClassVar

from innkeeper.protocol.messages.event import Event, ForgettingEvent
from innkeeper.protocol.reservations.booking import PriceLine, RoomSegment
from innkeeper.protocol.reservations.hotel import HotelClock
from innkeeper.protocol.reservations.night_audit import NightReport
from innkeeper.protocol.reservations.reasons import CancellationReason, DepartureReason, MoveReason, WaitlistReason
from innkeeper.protocol.reservations.room_events import ROOM_EVENTS
from innkeeper.protocol.reservations.terms import TermsOfSale
from innkeeper.protocol.values.guests import Guest
from innkeeper.protocol.values.taxes import TaxExemption


class BookingEvent(Event, frozen=True):
    """The base of all events about one booking."""

    booking: str


class HotelOpened(Event, frozen=True):
    """A hotel was opened; the events of its room types and rooms follow."""

    name: ClassVar[str] = "hotel.opened"
    title: str
    timezone: str
    currency: str
    check_in: str
    check_out: str
    night_audit: str
    business_date: date
    terms: TermsOfSale
    clock: HotelClock = HotelClock.WALL
    housekeeping: bool = True
    infants_below: int = 0
    overstays_block_audit: bool = False


class TermsOfSaleChanged(Event, frozen=True):
    """The hotel sells on these terms from now on; these are all of them. Bookings keep theirs."""

    name: ClassVar[str] = "hotel.terms_of_sale_changed"
    terms: TermsOfSale


class HotelChanged(Event, frozen=True):
    """The hotel has another name, other hours, another time of its night audit or other rules for its rooms; these are
    all of them. See `Hotel`."""

    name: ClassVar[str] = "hotel.changed"
    title: str
    check_in: str
    check_out: str
    night_audit: str
    housekeeping: bool
    infants_below: int
    overstays_block_audit: bool = False


class RoomTypeAdded(Event, frozen=True):
    """The hotel sells a new room type at this rate per night, or again one that it had retired. See `RoomType`."""

    name: ClassVar[str] = "room_type.added"
    code: str
    title: str
    max_guests: int
    rate: int
    max_adults: int | None = None
    cots: int | None = None


class RoomAdded(Event, frozen=True):
    """The hotel has one more room of a type, or again one that it had retired."""

    name: ClassVar[str] = "room.added"
    room: str
    room_type: str


class StayEvent(BookingEvent, frozen=True, kw_only=True):
    """The base of the events that contain all terms of a booking: guest, dates, room type, rooms and price.

    `rooms` are its rooms in the order of their nights, and `lines` the price of each night, in order; `terms` is the
    version of the hotel's terms of sale on which the booking was made. Cancelling is free up to the instant
    `free_until`, and costs `late_fee` afterwards; a no-show costs `no_show_fee`."""

    locator: str
    room_type: str
    rooms: tuple[RoomSegment, ...]
    arrival: date
    departure: date
    adults: int
    guest: Guest
    lines: tuple[PriceLine, ...]
    terms: int
    free_until: int
    late_fee: int
    no_show_fee: int
    children: tuple[int, ...] = ()
    exemptions: tuple[TaxExemption, ...] = ()
    pinned: bool = False
    source: str = ""
    group: str | None = None
    reminder_on: date | None = None


class BookingHeld(StayEvent, frozen=True, kw_only=True):
    """A room is held until `expires_at`. `from_waitlist`: it is offered to a guest of the waitlist; the booking has the
    id of the entry, which this event removes from the waitlist."""

    name: ClassVar[str] = "booking.held"
    expires_at: int
    from_waitlist: bool = False


class BookingConfirmed(StayEvent, frozen=True, kw_only=True):
    """A booking is confirmed: a new one, or one that was held."""

    name: ClassVar[str] = "booking.confirmed"


class BookingModified(StayEvent, frozen=True, kw_only=True):
    """A booking has new terms; these are all of them."""

    name: ClassVar[str] = "booking.modified"


class HoldExtended(BookingEvent, frozen=True):
    """A hold expires at another instant."""

    name: ClassVar[str] = "booking.hold_extended"
    expires_at: int


class HoldExpired(BookingEvent, frozen=True):
    """A hold expired; its nights are free again."""

    name: ClassVar[str] = "booking.hold_expired"


class HoldReleased(BookingEvent, frozen=True):
    """A hold was released before it expired; its nights are free again."""

    name: ClassVar[str] = "booking.hold_released"
    reason_code: CancellationReason = CancellationReason.GUEST


class RoomMoved(BookingEvent, frozen=True):
    """A booking has another room from a night on; `rooms` are all its rooms now. `moved_in`: the guest is in house, and
    in this room from now on; `not_clean`: somebody accepted that it was not clean. `for_booking` is the one that it
    made room for, or exchanged rooms with."""

    name: ClassVar[str] = "booking.room_moved"
    from_room: str
    to_room: str
    rooms: tuple[RoomSegment, ...]
    reason_code: MoveReason
    for_booking: str | None = None
    moved_in: bool = False
    not_clean: bool = False


class RoomUnassigned(BookingEvent, frozen=True):
    """A booking that has not arrived has no room any more on some of its nights; `rooms` are all its rooms now. It gets
    one when one becomes free. `for_booking` is the one that keeps the room, where it is kept for a booking."""

    name: ClassVar[str] = "booking.room_unassigned"
    from_room: str
    rooms: tuple[RoomSegment, ...]
    reason_code: MoveReason
    for_booking: str | None = None


class RoomAssigned(BookingEvent, frozen=True):
    """A booking that had no room on some of its nights has one; `rooms` are all its rooms now."""

    name: ClassVar[str] = "booking.room_assigned"
    room: str
    rooms: tuple[RoomSegment, ...]


class BookingPinned(BookingEvent, frozen=True):
    """The hotel promised not to change this room of the booking."""

    name: ClassVar[str] = "booking.pinned"
    room: str


class BookingUnpinned(BookingEvent, frozen=True):
    """The hotel may change the room of the booking again."""

    name: ClassVar[str] = "booking.unpinned"


class BookingCancelled(BookingEvent, frozen=True):
    """A booking was cancelled; `fee` is owed, after `waived` was taken off it. `reason` is what somebody wrote about
    it."""

    name: ClassVar[str] = "booking.cancelled"
    fee: int = 0
    reason: str = ""
    reason_code: CancellationReason = CancellationReason.GUEST
    waived: int = 0


class BookingReinstated(BookingEvent, frozen=True):
    """A cancelled or no-show booking is confirmed again, in these rooms. `lines` are the price of each night: nothing
    for one that was not kept for the guest. The fees are never more than that."""

    name: ClassVar[str] = "booking.reinstated"
    rooms: tuple[RoomSegment, ...]
    lines: tuple[PriceLine, ...]
    late_fee: int
    no_show_fee: int


class GuestCheckedIn(BookingEvent, frozen=True):
    """The guest is in house, in this room, since this business date. `not_clean`: somebody accepted that the room was
    not clean."""

    name: ClassVar[str] = "booking.checked_in"
    room: str
    business_date: date
    not_clean: bool = False


class CheckInUndone(BookingEvent, frozen=True):
    """The guest had not arrived: the check-in was a mistake, and the booking is confirmed as before it."""

    name: ClassVar[str] = "booking.check_in_undone"
    room: str
    reason: str = ""


class GuestCheckedOut(BookingEvent, frozen=True):
    """The guest left on this business date; `departure` is the day on which the stay ended, earlier than booked for an
    early departure; `rooms` are those where the guest slept, and `lines` the price of these nights. A day use has no
    night, but the price of the first one."""

    name: ClassVar[str] = "booking.checked_out"
    business_date: date
    departure: date
    rooms: tuple[RoomSegment, ...]
    lines: tuple[PriceLine, ...]
    reason_code: DepartureReason = DepartureReason.DUE


class CheckOutUndone(BookingEvent, frozen=True):
    """The guest had not left this room: the check-out was a mistake, and the stay is as before it."""

    name: ClassVar[str] = "booking.check_out_undone"
    room: str
    departure: date
    rooms: tuple[RoomSegment, ...]
    lines: tuple[PriceLine, ...]
    reason: str = ""


class GuestOverstayed(BookingEvent, frozen=True):
    """The guest was due out and has stayed for another night; `departure`, `rooms` and `lines` are those of the stay
    now."""

    name: ClassVar[str] = "booking.overstayed"
    departure: date
    rooms: tuple[RoomSegment, ...]
    lines: tuple[PriceLine, ...]


class GuestNoShow(BookingEvent, frozen=True):
    """The guest did not come; `fee` is owed, after `waived` was taken off it. The nights before `kept_until` were kept
    for the guest, and the later ones are free again. `reason` is what somebody wrote about it."""

    name: ClassVar[str] = "booking.no_show"
    fee: int
    kept_until: date
    waived: int = 0
    reason: str = ""


class GuestChanged(BookingEvent, frozen=True):
    """The details of the booking's guest changed: the notes, or at another booking of the guest the contact data."""

    name: ClassVar[str] = "booking.guest_changed"
    guest: Guest


class ReminderChanged(BookingEvent, frozen=True):
    """The guest is reminded on another day; None is the hotel's usual day."""

    name: ClassVar[str] = "booking.reminder_changed"
    reminder_on: date | None = None


class WaitlistJoined(Event, frozen=True, kw_only=True):
    """A guest waits for a stay that is sold out."""

    name: ClassVar[str] = "waitlist.joined"
    entry: str
    room_type: str
    arrival: date
    departure: date
    adults: int
    guest: Guest
    children: tuple[int, ...] = ()
    source: str = ""


class WaitlistChanged(Event, frozen=True, kw_only=True):
    """A guest waits for another stay, or the details of the guest changed; these are all terms of the entry."""

    name: ClassVar[str] = "waitlist.changed"
    entry: str
    room_type: str
    arrival: date
    departure: date
    adults: int
    guest: Guest
    children: tuple[int, ...] = ()
    source: str = ""


class WaitlistLeft(Event, frozen=True):
    """A guest left the waitlist without an offer."""

    name: ClassVar[str] = "waitlist.left"
    entry: str
    reason_code: WaitlistReason


class GuestForgotten(ForgettingEvent, frozen=True):
    """All details of the guest are erased. What has left the system is listed in docs/privacy.md."""

    name: ClassVar[str] = "guest.forgotten"


class GuestAddressRefused(Event, frozen=True):
    """The e-mail address of a guest takes no letters: the mail server refused a letter (`confirmation`, …) about this
    booking. `reply` has the codes of its reply, such as `550 5.1.1`. It counts until the address is another one."""

    name: ClassVar[str] = "guest.address_refused"
    guest: str
    booking: str
    letter: str
    reply: str


class GuestAddressAccepted(Event, frozen=True):
    """The e-mail address of a guest takes letters again: one about this booking was sent, after an earlier one was
    refused."""

    name: ClassVar[str] = "guest.address_accepted"
    guest: str
    booking: str


class BusinessDateRolled(Event, frozen=True):
    """The night audit closed one business date and opened the next: `early`, where the date was not over yet. `report`
    lists the bookings that it changed; the events of these come before this one."""

    name: ClassVar[str] = "business_date.rolled"
    closed: date
    opened: date
    early: bool = False
    report: NightReport = NightReport()


class TimelineBegun(Event, frozen=True):
    """The hotel goes on from here on another timeline: a backup was restored, or the loss of newer events accepted.
    What anybody has received of the hotel under the number of this event, or a higher one, is not part of it any more.
    `lost_bookings` are the bookings among that which the installation itself still knows of."""

    name: ClassVar[str] = "timeline.begun"
    timeline: str
    lost_bookings: tuple[str, ...] = ()


EVENTS: tuple[type[Event], ...] = (
    HotelOpened, HotelChanged, TermsOfSaleChanged, RoomTypeAdded, RoomAdded, *ROOM_EVENTS,
    BookingHeld, BookingConfirmed, BookingModified, HoldExtended, HoldExpired, HoldReleased,
    RoomMoved, RoomUnassigned, RoomAssigned, BookingPinned, BookingUnpinned, BookingCancelled, BookingReinstated,
    GuestCheckedIn, CheckInUndone, GuestCheckedOut, CheckOutUndone, GuestOverstayed, GuestNoShow, GuestChanged,
    ReminderChanged, WaitlistJoined, WaitlistChanged, WaitlistLeft, GuestForgotten,
    GuestAddressRefused, GuestAddressAccepted, BusinessDateRolled, TimelineBegun,
)  # fmt: skip
