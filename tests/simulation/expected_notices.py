"""The notices that the rules of notifications decide for all events of a simulation."""

from innkeeper.actors.notifications.rules.known_bookings import KnownBooking
from innkeeper.actors.notifications.rules.known_hotel import KnownHotel
from innkeeper.actors.notifications.rules.notices import handle
from innkeeper.actors.notifications.rules.scheduling import NoticeDecision
from innkeeper.protocol.billing.events import PaymentRecorded, PaymentRefunded
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.notifications.notices import PAYMENT_KINDS, Notice, NoticeKind
from innkeeper.protocol.reservations.events import BookingEvent, StayEvent
from innkeeper.protocol.values.contexts import BILLING, RESERVATIONS
from simulation.faulty_journal import Disk


class ExpectedNotices:
    """The notices that the rules decide for all events, without delivery. A receipt goes to the address that the guest
    has at that moment, if any: where the address changed, the order of the two logs decides."""

    def __init__(self, disks: dict[str, Disk]) -> None:
        self.notices: dict[str, Notice] = {}
        self.waiting: set[str] = set()
        self.uncertain: set[str] = set()
        self._hotels: dict[str, KnownHotel | None] = {}
        self._bookings: dict[str, KnownBooking | None] = {}
        without_address: set[str] = set()
        forgotten: set[str] = set()
        for record in disks[RESERVATIONS].records():
            if isinstance(record.event, StayEvent) and record.event.guest.details is None:
                forgotten.add(record.event.booking)
            if isinstance(record.event, BookingEvent) and record.event.booking in forgotten:
                self.uncertain.update(f"{record.id}:{kind.value}" for kind in NoticeKind)
            decision = self._decide(record)
            if decision.booking is not None and decision.booking.email is None:
                without_address.add(decision.booking.id)
            self.waiting.difference_update(decision.withdrawn)
            self.waiting.update(notice.id for notice in decision.notices if notice.due_at)
        for record in disks[BILLING].records():
            if isinstance(record.event, PaymentRecorded | PaymentRefunded):
                self._decide(record)
                if record.event.booking in without_address | forgotten:
                    self.uncertain.update(f"{record.id}:{kind.value}" for kind in PAYMENT_KINDS)

    def _decide(self, record: RecordedEvent) -> NoticeDecision:
        name: str = getattr(record.event, "booking", "") or getattr(record.event, "entry", "")
        decision = handle(self._hotels.get(record.hotel), self._bookings.get(name), record)
        self._hotels[record.hotel], self._bookings[name] = decision.hotel, decision.booking
        self.notices.update((notice.id, notice) for notice in decision.notices)
        return decision
