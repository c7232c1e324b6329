"""The notices that the rules of notifications decide for all events of a simulation."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from innkeeper.actors.notifications.rules.known_bookings import KnownBooking
from innkeeper.actors.notifications.rules.known_hotel import KnownHotel
from innkeeper.actors.notifications.rules.notices import handle
from innkeeper.actors.notifications.rules.scheduling import NoticeDecision
from innkeeper.protocol.billing.events import PaymentRecorded, PaymentRefunded, PaymentRefundFailed
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.notifications.notices import KINDS_OF_A_STAY, PAYMENT_KINDS, Notice, NoticeKind, StayFacts
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.values.contexts import BILLING, RESERVATIONS
from innkeeper.protocol.values.guests import Guest
from msgspec.structs import replace
from simulation.faulty_journal import Disk


class ExpectedNotices:
    """The notices that the rules decide for all events, without delivery. A receipt goes to the address that the guest
    has at that moment, if any: where the address changed, the order of the two logs decides. So it does where a notice
    about changes waits, and when events are handled decides whether it counts as sent. Whatever it decides, `stays` are
    what the guests of these bookings were told in the end."""

    def __init__(self, disks: dict[str, Disk]) -> None:
        self.notices: dict[str, Notice] = {}
        self.waiting: set[str] = set()
        self.uncertain: set[str] = set()
        self._hotels: dict[str, KnownHotel | None] = {}
        self._bookings: dict[str, KnownBooking | None] = {}
        self.stays: dict[str, StayFacts] = {}
        without_address: set[str] = set()
        forgotten: set[str] = set()
        for record in disks[RESERVATIONS].records():
            guest = getattr(record.event, "guest", None)
            if isinstance(guest, Guest) and guest.details is None:
                forgotten.add(_subject(record))
            if _subject(record) in forgotten:
                self.uncertain.update(f"{record.id}:{kind.value}" for kind in NoticeKind)
            decision = self._decide(record)
            if decision.booking is not None and decision.booking.email is None:
                without_address.add(decision.booking.id)
            self.waiting.difference_update(decision.withdrawn)
            self.waiting.update(notice.id for notice in decision.notices if notice.due_at)
        for name, known in self._bookings.items():
            if known is None or known.email is None or name in without_address | forgotten:
                continue
            if known.status is BookingStatus.CONFIRMED:
                self.stays[name] = known.stay
        for record in disks[BILLING].records():
            if isinstance(record.event, PaymentRecorded | PaymentRefunded | PaymentRefundFailed):
                self._decide(record)
                self.uncertain.add(f"{record.id}:{NoticeKind.CHANGE.value}")
                if record.event.booking in without_address | forgotten:
                    self.uncertain.update(f"{record.id}:{kind.value}" for kind in PAYMENT_KINDS)

    def _decide(self, record: RecordedEvent) -> NoticeDecision:
        name = _subject(record)
        was = self._bookings.get(name)
        if was is not None and was.pending is not None:
            self.uncertain |= {was.pending.notice, f"{record.id}:{NoticeKind.CHANGE.value}"}
        decision = handle(self._hotels.get(record.hotel), was, record)
        self._hotels[record.hotel], self._bookings[name] = decision.hotel, decision.booking
        self.notices.update((notice.id, notice) for notice in decision.notices)
        return decision

    def violations(
        self, delivered: Mapping[str, int], sent: Mapping[str, Notice], kept: Sequence[Notice], latest: int
    ) -> Iterator[str]:
        """The violations, where these notices were sent, how often, and these are still kept, because they are not due
        or wait behind one that has failed. At the instant `latest` a notice may have been of no use any more."""
        for id_, times in delivered.items():
            if id_ not in self.notices and id_ not in self.uncertain:
                yield f"{id_} was sent, but not decided (P5)"
            if times > 1_000:
                yield f"{id_} was sent twice without a reason (P5)"
        yield from self._untold_stays([*sent.values(), *kept], latest)
        waiting = {notice.id for notice in kept}
        for notice in self.notices.values():
            in_time = notice.useful_until > latest
            if notice.id in self.uncertain:
                continue
            if in_time and not notice.due_at and notice.id not in {*delivered, *waiting}:
                yield f"{notice.id} was never sent (P5)"
            is_due = notice.id in self.waiting and in_time
            if is_due and notice.due_at and notice.id not in {*delivered, *waiting}:
                yield f"{notice.id} is not scheduled (P5)"
            if notice.due_at and notice.id in waiting - self.waiting:
                yield f"{notice.id} is scheduled, but was withdrawn (P5)"

    def _untold_stays(self, notices: Iterable[Notice], latest: int) -> Iterator[str]:
        """The violations, where the last of these notices that says all of a booking does not say what it is."""
        late = {notice.booking for notice in self.notices.values() if notice.useful_until <= latest}
        told = {
            notice.booking: notice
            for notice in sorted(notices, key=lambda notice: notice.sequence)
            if notice.kind in KINDS_OF_A_STAY and notice.sequence
        }
        for booking, stay in self.stays.items():
            last = told.get(booking)
            if last is not None and booking not in late and replace(last.stay, guest="") != replace(stay, guest=""):
                yield f"the guest of {booking} was told another stay by {last.id} (P5)"


def _subject(record: RecordedEvent) -> str:
    """The booking, or the entry of the waitlist, that an event is about."""
    subject: str = getattr(record.event, "booking", "") or getattr(record.event, "entry", "")
    return subject
