"""The actor that decides which notices are sent to whom and when, and its host, which reads and writes the outbox.

The actor does no I/O: with the events it gets what the outbox holds of their hotels and bookings, and it replies with
what is to be written to the outbox, including notices.
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

NOTIFIER_EVENT_TYPES = (
    "innkeeper.hotel.*",
    "innkeeper.room_type.*",
    "innkeeper.booking.*",
    "innkeeper.payment.recorded.*",
)
"""What notifications subscribes to."""

_pack = msgspec.msgpack.encode
_unpack_hotel = msgspec.msgpack.Decoder(KnownHotel).decode
_unpack_booking = msgspec.msgpack.Decoder(KnownBooking).decode


class NotifierActor(TypedActor):
    """Decides on each event in turn."""

    def decide(self, message: DecideNotices, host: ActorAddress) -> None:
        """Decides on these events, one after the other."""
        hotels, bookings = dict(message.hotels), dict(message.bookings)
        changed_hotels: dict[str, KnownHotel] = {}
        changed_bookings: dict[str, KnownBooking] = {}
        notices: dict[str, Notice] = {}
        withdrawn: list[str] = []
        for _, record in message.entries:
            name = record.event.booking if isinstance(record.event, BookingEvent) else ""
            hotel, booking = hotels.get(record.hotel), bookings.get(name)
            outcome = handle(hotel, booking, record)
            if outcome.hotel is not None and outcome.hotel is not hotel:
                hotels[record.hotel] = changed_hotels[record.hotel] = outcome.hotel
            if outcome.booking is not None and outcome.booking is not booking:
                bookings[name] = changed_bookings[name] = outcome.booking
            withdrawn += [id_ for id_ in outcome.withdrawn if notices.pop(id_, None) is None]
            notices.update((notice.id, notice) for notice in outcome.notices if notice.useful_until > message.at)
        self.send(host, NoticesDecided(changed_hotels, changed_bookings, tuple(notices.values()), tuple(withdrawn)))


NotifierActor.handles = {DecideNotices: NotifierActor.decide}


class Notifier:
    """The host of the actor, with an actor system of its own and the outbox. For one thread."""

    def __init__(self, outbox: Outbox, clock: Callable[[], int], decided: Callable[[], None]) -> None:
        """`decided` is called when there are new notices in the outbox."""
        self._outbox = outbox
        self._clock = clock
        self._decided = decided
        self._system = LocalActorSystem()
        self._actor = self._system.createActor(NotifierActor)
        self.handlers: dict[type, Callable[[Any], Awaitable[Reply]]] = {
            ShowNotificationTerms: self.show_terms,
            ChangeNotificationTerms: self.change_terms,
        }

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """See `EventHandler`."""
        names = {record.event.booking for _, record in entries if isinstance(record.event, BookingEvent)}
        bookings = {name: _unpack_booking(body) for name, body in self._outbox.bookings(names).items()}
        hotels = self._outbox.hotels({record.hotel for _, record in entries}).items()
        known = {name: _unpack_hotel(body) for name, body in hotels}
        request = DecideNotices(self._clock(), tuple(entries), known, bookings)
        decided = self._system.ask(self._actor, request)
        if not isinstance(decided, NoticesDecided):
            details = decided.details if isinstance(decided, PoisonMessage) else "the actor did not reply"
            raise RuntimeError(f"notifications failed: {details}")

        def keep() -> None:
            self._outbox.store(
                {name: _pack(hotel) for name, hotel in decided.hotels.items()},
                {name: _pack(booking) for name, booking in decided.bookings.items()},
                decided.notices,
                decided.withdrawn,
            )
            if decided.notices:
                self._decided()

        return keep

    async def show_terms(self, message: ShowNotificationTerms) -> NotificationTermsReply:
        """Returns the notification terms of a hotel."""
        return NotificationTermsReply(self._known(message.hotel).terms)

    async def change_terms(self, message: ChangeNotificationTerms) -> NotificationTermsReply:
        """Changes the terms for later notices; those decided before are not changed."""
        hotel = msgspec.structs.replace(self._known(message.hotel), terms=message.terms)
        self._outbox.store({message.hotel: _pack(hotel)}, {}, (), ())
        return NotificationTermsReply(message.terms)

    def _known(self, hotel: str) -> KnownHotel:
        body = self._outbox.hotels([hotel]).get(hotel)
        if body is None:
            raise Refused(NotFound("hotel", hotel))
        return _unpack_hotel(body)

    def close(self) -> None:
        """Stops the actor."""
        self._system.shutdown()
