"""Notifications: the actor that decides what is said to whom and when, and the host that keeps its books.

The actor does no I/O: with the events it gets what it once wrote down of the hotels and bookings concerned, and it
answers with what is to be written down now, notices among it.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from innkeeper.actors.notifications.messages import DecideNotices, NoticesDecided
from innkeeper.actors.notifications.rules.notices import KnownBooking, KnownHotel, handle
from innkeeper.actors.system.local_actor_system import LocalActorSystem
from innkeeper.actors.system.typed_actor import TypedActor
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.refusals import NotFound, Refused
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.notifications.terms import (
    ChangeNotificationTerms,
    NotificationTermsReply,
    ShowNotificationTerms,
)
from innkeeper.protocol.ports.outbox import Outbox
from innkeeper.protocol.ports.subscriptions import Effects
from innkeeper.protocol.reservations.events import BookingEvent
from thespian.actors import ActorAddress, PoisonMessage

TYPES = ("innkeeper.hotel.*", "innkeeper.room_type.*", "innkeeper.booking.*", "innkeeper.payment.recorded.*")
"""What notifications subscribes to."""

_pack = msgspec.msgpack.encode
_unpack_hotel = msgspec.msgpack.Decoder(KnownHotel).decode
_unpack_booking = msgspec.msgpack.Decoder(KnownBooking).decode


class NotifierActor(TypedActor):
    """Decides on each event in turn."""

    def subscribe(self, message: DecideNotices, host: ActorAddress) -> None:
        """Take these in."""
        hotels, bookings = dict(message.hotels), dict(message.bookings)
        changed_hotels: dict[str, KnownHotel] = {}
        changed_bookings: dict[str, KnownBooking] = {}
        notices: dict[str, Notice] = {}
        withdrawn: list[str] = []
        for _, record in message.entries:
            name = record.event.booking if isinstance(record.event, BookingEvent) else ""
            hotel, booking = hotels.get(record.hotel), bookings.get(name)
            taken = handle(hotel, booking, record)
            if taken.hotel is not None and taken.hotel is not hotel:
                hotels[record.hotel] = changed_hotels[record.hotel] = taken.hotel
            if taken.booking is not None and taken.booking is not booking:
                bookings[name] = changed_bookings[name] = taken.booking
            withdrawn += [one for one in taken.withdrawn if notices.pop(one, None) is None]
            notices.update((one.id, one) for one in taken.notices if one.useful_until > message.at)
        self.send(host, NoticesDecided(changed_hotels, changed_bookings, tuple(notices.values()), tuple(withdrawn)))


NotifierActor.handles = {DecideNotices: NotifierActor.subscribe}


class Notifier:
    """The actor with its own actor system, and its books. Lives in one thread."""

    def __init__(self, outbox: Outbox, clock: Callable[[], int], decided: Callable[[], None]) -> None:
        """`decided` is called when there are new notices in the outbox."""
        self._outbox = outbox
        self._clock = clock
        self._decided = decided
        self._system = LocalActorSystem()
        self._actor = self._system.createActor(NotifierActor)
        self.answering: dict[type, Callable[[Any], Awaitable[Reply]]] = {
            ShowNotificationTerms: self.show_terms,
            ChangeNotificationTerms: self.change_terms,
        }

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `protocol.subscribing.Handle`."""
        names = {record.event.booking for _, record in entries if isinstance(record.event, BookingEvent)}
        bookings = {name: _unpack_booking(body) for name, body in self._outbox.bookings(names).items()}
        hotels = self._outbox.hotels({record.hotel for _, record in entries}).items()
        known = {name: _unpack_hotel(body) for name, body in hotels}
        subscribe = DecideNotices(self._clock(), tuple(entries), known, bookings)
        heard = self._system.ask(self._actor, subscribe)
        if not isinstance(heard, NoticesDecided):
            details = heard.details if isinstance(heard, PoisonMessage) else "it did not answer"
            raise RuntimeError(f"notifications failed: {details}")

        def keep() -> None:
            self._outbox.keep(
                {name: _pack(hotel) for name, hotel in heard.hotels.items()},
                {name: _pack(booking) for name, booking in heard.bookings.items()},
                heard.notices,
                heard.withdrawn,
            )
            if heard.notices:
                self._decided()

        return keep

    async def show_terms(self, message: ShowNotificationTerms) -> NotificationTermsReply:
        """How a hotel writes to its guests."""
        return NotificationTermsReply(self._known(message.hotel).terms)

    async def change_terms(self, message: ChangeNotificationTerms) -> NotificationTermsReply:
        """It does so from now on; what was decided before stays as it is."""
        hotel = msgspec.structs.replace(self._known(message.hotel), terms=message.terms)
        self._outbox.keep({message.hotel: _pack(hotel)}, {}, (), ())
        return NotificationTermsReply(message.terms)

    def _known(self, hotel: str) -> KnownHotel:
        body = self._outbox.hotels([hotel]).get(hotel)
        if body is None:
            raise Refused(NotFound("hotel", hotel))
        return _unpack_hotel(body)

    def close(self) -> None:
        """End the actor."""
        self._system.shutdown()
