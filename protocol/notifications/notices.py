"""What shall be said to a guest: notices, as notifications decides them and as a letter tells them.

A notice carries all that its letter needs, so that it can wait for its time, be written by another process and be sent
by a third, and still say what was true when it was decided.
"""

from datetime import date
from enum import StrEnum

import msgspec


class NoticeKind(StrEnum):
    """What a notice is about; also the name of its letter's template."""

    CONFIRMATION = "confirmation"
    HOLD = "hold"
    CHANGE = "change"
    CANCELLATION = "cancellation"
    REMINDER = "reminder"
    RECEIPT = "receipt"
    HOLD_EXPIRING = "hold_expiring"
    WAITLIST_OFFER = "waitlist_offer"


class HotelFacts(msgspec.Struct, frozen=True, gc=False):
    """What letters say of a hotel. `check_in` and `check_out` are local times such as "15:00"; `timezone` is a name of
    the IANA database, `currency` one of ISO 4217."""

    id: str
    name: str
    timezone: str
    currency: str
    check_in: str
    check_out: str


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """Who gets the letter, as the guest has written it: nothing here is safe to put in a header as it stands."""

    name: str
    email: str


class StayFacts(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What a guest knows of a booking. `room_type` is its name, not its code; `rate` is per night, in minor units of
    the hotel's currency; `children` are their ages."""

    guest: str
    room_type: str
    arrival: date
    departure: date
    adults: int
    rate: int
    children: tuple[int, ...] = ()

    @property
    def nights(self) -> int:
        """How many nights the guest sleeps."""
        return (self.departure - self.arrival).days

    @property
    def total(self) -> int:
        """The price of the stay, in minor units."""
        return self.nights * self.rate


class Notice(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One thing to say to one guest. Instants are microseconds since 1970 UTC, and 0 where there is none.

    - `id`: the event's id and the kind: the same notice each time that the event is told.
    - `language`: a tag of BCP 47, such as `pt-BR`.
    - `due_at`: when to send it; 0 is at once.
    - `useful_until`: after that it would only confuse.
    - `before`: what the booking was before it changed; of a change only.
    - `free_until`: until when cancelling is free; 0 where it costs the first night.
    - `expires_at`: when the hold or the offer runs out.
    - `fee`: what a cancellation costs, in minor units.
    - `amount`: what was paid, in minor units; of a receipt only.
    - `reason`: why it was cancelled, in the words of whoever did it. May be meant for the staff alone.
    """

    id: str
    kind: NoticeKind
    hotel: HotelFacts
    booking: str
    locator: str
    recipient: Recipient
    stay: StayFacts
    language: str = "en"
    due_at: int = 0
    useful_until: int = 0
    before: StayFacts | None = None
    free_until: int = 0
    expires_at: int = 0
    fee: int = 0
    amount: int = 0
    reason: str = ""
