"""Turns events into notices in the outbox, and answers messages about the terms of notification."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from innkeeper.actors.notifications.rules.known_bookings import KnownBooking
from innkeeper.actors.notifications.rules.known_hotel import KnownHotel, writing_on
from innkeeper.actors.notifications.rules.notices import NOTICE_RULES, forgotten, handle, of_each_booking
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import NotFound, Refused
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.notifications.terms import (
    ChangeNotificationTerms,
    NotificationTermsReply,
    ShowNotificationTerms,
)
from innkeeper.protocol.notifications.unsent import ShowUnsentLetters, UnsentLettersReply
from innkeeper.protocol.ports.outbox import KeptBooking, Outbox, OutboxChanges
from innkeeper.protocol.ports.service_store import Transaction
from innkeeper.protocol.ports.subscriptions import Effects, Stalled

_NEVER = 1 << 63
NOTIFICATIONS_EVENT_TYPES = wire.type_names(NOTICE_RULES.handles)
"""What notifications subscribes to."""

_pack = msgspec.msgpack.encode
_unpack_hotel = msgspec.msgpack.Decoder(KnownHotel).decode
_unpack_booking = msgspec.msgpack.Decoder(KnownBooking).decode


class NotificationsEventHandler:
    """Handles events by the rules of notifications. What these keep of hotels and bookings stands in the outbox.

    A notice about changes is replaced by a newer one only while it is not due: the relay, which works in the same
    thread, has not taken it before that. Once it is due it counts as sent."""

    def __init__(self, outbox: Outbox, clock: Callable[[], int], notify_relay: Callable[[], None]) -> None:
        """`notify_relay` is called when there are new notices in the outbox."""
        self._outbox = outbox
        self._clock = clock
        self._notify_relay = notify_relay
        self.handlers: dict[type, Callable[[Any, Transaction], Awaitable[Reply]]] = {
            ShowNotificationTerms: self.show_terms,
            ChangeNotificationTerms: self.change_terms,
            ShowUnsentLetters: self.show_unsent,
        }

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `EventHandler`."""
        records = [each for _, record in entries for each in of_each_booking(record)]
        names = {_booking(record.event) for record in records} - {""}
        bookings = {name: _unpack_booking(body) for name, body in self._outbox.bookings(names).items()}
        found = self._outbox.hotels({record.hotel for record in records})
        hotels = {name: _unpack_hotel(body) for name, body in found.items()}
        changed_hotels: dict[str, bytes] = {}
        changed_bookings: dict[str, KnownBooking] = {}
        erased: set[str] = set()
        notices: dict[str, Notice] = {}
        withdrawn: list[str] = []
        at, replaced_until = self._clock(), _NEVER
        for record in records:
            name = _booking(record.event)
            hotel, booking = hotels.get(record.hotel), bookings.get(name)
            pending = None if booking is None else booking.pending
            if booking is not None and pending is not None and pending.notice not in notices:
                if pending.due_at <= at:
                    booking = msgspec.structs.replace(booking, pending=None)
                else:
                    replaced_until = min(replaced_until, pending.due_at)
            decision = handle(hotel, booking, record)
            if decision.hotel is not None and decision.hotel is not hotel:
                hotels[record.hotel] = decision.hotel
                changed_hotels[record.hotel] = _pack(decision.hotel)
            if decision.booking is not None and decision.booking is not booking:
                bookings[name] = changed_bookings[name] = decision.booking
            if decision.marks_guest and decision.booking is not None:
                marked = self._marked_as(decision.booking, bookings)
                bookings |= marked
                changed_bookings |= marked
            if decision.forgotten is not None:
                known = self._bookings_of(decision.forgotten, bookings)
                of_guest = {name: forgotten(booking) for name, booking in known.items()}
                bookings |= of_guest
                changed_bookings |= of_guest
                erased |= of_guest.keys()
                notices = {id_: notice for id_, notice in notices.items() if notice.booking not in of_guest}
            withdrawn += [id_ for id_ in decision.withdrawn if notices.pop(id_, None) is None]
            notices.update((notice.id, notice) for notice in decision.notices if notice.useful_until > at)
        packed = {name: _kept(booking) for name, booking in changed_bookings.items()}
        changes = OutboxChanges(
            hotels=changed_hotels,
            bookings=packed,
            notices=tuple(notices.values()),
            withdrawn=withdrawn,
            erased=tuple(erased),
        )

        def keep() -> None:
            if replaced_until <= self._clock():
                raise Stalled("a letter about a change has been sent meanwhile")
            if changed_hotels and not self._outbox.hotels(changed_hotels).items() <= found.items():
                raise Stalled("the terms of notification have been changed meanwhile")
            self._outbox.store(changes)
            if notices:
                self._notify_relay()

        return keep

    def _bookings_of(self, guest: str, known: Mapping[str, KnownBooking]) -> dict[str, KnownBooking]:
        """All bookings of a guest."""
        stored = {name: _unpack_booking(body) for name, body in self._outbox.bookings_of([guest]).items()}
        return stored | {name: booking for name, booking in known.items() if booking.guest == guest}

    def _marked_as(self, marked: KnownBooking, known: Mapping[str, KnownBooking]) -> dict[str, KnownBooking]:
        """The bookings of the same guest at the same address, marked in the same way."""
        return {
            name: msgspec.structs.replace(booking, refused=marked.refused)
            for name, booking in self._bookings_of(marked.guest, known).items()
            if booking.email == marked.email
        }

    async def show_terms(self, message: ShowNotificationTerms, _: Transaction) -> NotificationTermsReply:
        """Returns the notification terms of a hotel."""
        return NotificationTermsReply(self._known(message.hotel).terms)

    async def show_unsent(self, message: ShowUnsentLetters, _: Transaction) -> UnsentLettersReply:
        """Returns the letters of a booking that are not sent."""
        body = self._outbox.bookings([message.booking]).get(message.booking)
        refused = None if body is None else _unpack_booking(body).refused
        return UnsentLettersReply(refused, tuple(self._outbox.unsent(message.booking)))

    async def change_terms(self, message: ChangeNotificationTerms, transaction: Transaction) -> NotificationTermsReply:
        """Changes the terms for later notices; those decided before are not changed."""
        hotel = writing_on(self._known(message.hotel), message.terms)
        reply = NotificationTermsReply(message.terms)
        with transaction() as keep:
            self._outbox.store(OutboxChanges(hotels={message.hotel: _pack(hotel)}))
            keep(reply)
        return reply

    def _known(self, hotel: str) -> KnownHotel:
        body = self._outbox.hotels([hotel]).get(hotel)
        if body is None:
            raise Refused(NotFound("hotel", hotel))
        return _unpack_hotel(body)


def _booking(event: Event) -> str:
    """The id of the booking that an event is about, or of the entry of the waitlist; empty where it is about none."""
    found: str = getattr(event, "booking", "") or getattr(event, "entry", "")
    return found


def _kept(booking: KnownBooking) -> KeptBooking:
    return KeptBooking(booking.guest, _pack(booking), "" if booking.refused is None else booking.refused.reply)
