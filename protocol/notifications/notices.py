"""Notices to guests, which notifications decides and letters render.

A notice contains all that its letter needs, so that it can wait until it is due, be rendered by one process and be sent
by another, and still has the facts at the time of the decision.
"""

from datetime import date
from enum import StrEnum

import msgspec
from innkeeper.protocol.billing.terms import BankAccount


class NoticeKind(StrEnum):
    """What a notice is about; also the name of its letter's template."""

    CONFIRMATION = "confirmation"
    CHANGE = "change"
    CANCELLATION = "cancellation"
    NO_SHOW = "no_show"
    REMINDER = "reminder"
    HOLD = "hold"
    HOLD_EXPIRING = "hold_expiring"
    HOLD_EXPIRED = "hold_expired"
    HOLD_RELEASED = "hold_released"
    RECEIPT = "receipt"
    REFUND = "refund"
    REFUND_FAILED = "refund_failed"
    WAITLIST_JOINED = "waitlist_joined"
    WAITLIST_OFFER = "waitlist_offer"
    WAITLIST_OFFER_EXPIRED = "waitlist_offer_expired"
    WAITLIST_LEFT = "waitlist_left"
    ADDRESS_REFUSED = "address_refused"


KINDS_OF_A_STAY = frozenset(
    {
        NoticeKind.CONFIRMATION, NoticeKind.CHANGE, NoticeKind.REMINDER, NoticeKind.HOLD, NoticeKind.HOLD_EXPIRING,
        NoticeKind.WAITLIST_OFFER,
    }
)  # fmt: skip
"""Letters about a stay that is to come: they say its price, and its hours of arrival and departure."""

PAYMENT_KINDS = frozenset({NoticeKind.RECEIPT, NoticeKind.REFUND, NoticeKind.REFUND_FAILED})
"""Letters about money that was paid or given back, or came back to the hotel."""


class HotelContact(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """How guests reach and pay a hotel; see `NotificationTerms`. `bank` is the account of the billing terms, with its
    holder. What is not known is empty."""

    address: tuple[str, ...] = ()
    phone: str = ""
    email: str = ""
    website: str = ""
    bank: BankAccount | None = None
    payment_link: str = ""


class HotelFacts(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The facts of a hotel in letters. `check_in` and `check_out` are local times such as "15:00"; `timezone` is a name
    of the IANA database, `currency` one of ISO 4217."""

    id: str
    name: str
    timezone: str
    currency: str
    check_in: str
    check_out: str
    contact: HotelContact | None = None


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """The recipient of the letter, as the guest wrote it: not safe in a header without encoding."""

    name: str
    email: str


class TaxFacts(msgspec.Struct, frozen=True, gc=False):
    """What a stay costs in one tax or fee, in minor units; the stay's total contains it."""

    name: str
    amount: int


class DepositFacts(msgspec.Struct, frozen=True, gc=False):
    """A deposit, in minor units, and the date by which it is due."""

    due: date
    amount: int


class StayFacts(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """The facts of a booking in letters. `room_type` is its name, not its code; `prices` are what the guest pays for
    each night, in minor units of the hotel's currency, with its `taxes`; `children` are their ages."""

    guest: str
    room_type: str
    arrival: date
    departure: date
    adults: int
    prices: tuple[int, ...]
    children: tuple[int, ...] = ()
    taxes: tuple[TaxFacts, ...] = ()
    deposits: tuple[DepositFacts, ...] = ()

    @property
    def nights(self) -> int:
        """The number of nights of the stay."""
        return (self.departure - self.arrival).days

    @property
    def total(self) -> int:
        """The price of the stay, in minor units."""
        return sum(self.prices)


class Notice(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """One message to one guest; that the guest's address refuses letters is one to the hotel. Instants are microseconds
    since 1970 UTC, and 0 where there is none.

    - `id`: the event's id and the kind, the same in every delivery of the event.
    - `language`: a tag of BCP 47, such as `pt-BR`.
    - `due_at`: when to send it; 0 for at once.
    - `useful_until`: after this instant it is not sent any more, as it would only confuse.
    - `before`: the stay before the change; of a change only.
    - `free_until`: until when cancelling is free; 0 where it costs the `late_fee`.
    - `late_fee`, `no_show_fee`: what a cancellation after that costs, and a no-show, in minor units.
    - `expires_at`: when the hold or the offer runs out.
    - `sequence`: the number of the event in its hotel, by which a calendar knows the newer of two entries.
    - `locator`: empty for an entry of the waitlist.
    - `fee`: what a cancellation or a no-show costs, in minor units.
    - `paid`: what the guest has paid so far, less refunds, in minor units; it covers the earliest deposits.
    - `amount`: the amount paid, refunded, or not refunded after all, in minor units.
    - `reason`: the code of why the booking was cancelled, the hold released, or the waitlist left. Of a refused address
      the reply of the mail server, such as `550 5.1.1`.
    - `guest`: the guest's id.
    """

    id: str
    kind: NoticeKind
    hotel: HotelFacts
    booking: str
    locator: str
    recipient: Recipient
    stay: StayFacts
    language: str = "en"
    sequence: int = 0
    due_at: int = 0
    useful_until: int = 0
    before: StayFacts | None = None
    free_until: int = 0
    late_fee: int = 0
    no_show_fee: int = 0
    expires_at: int = 0
    fee: int = 0
    paid: int = 0
    amount: int = 0
    reason: str = ""
    guest: str = ""

    def deposits_open(self) -> list[tuple[date, int]]:
        """When what is still to be paid of each deposit is due, and how much, in minor units; the earliest first."""
        left, found = self.paid, []
        for deposit in self.stay.deposits:
            covered = min(max(left, 0), deposit.amount)
            left -= covered
            if covered < deposit.amount:
                found.append((deposit.due, deposit.amount - covered))
        return found

    @property
    def is_to_guest(self) -> bool:
        """Whether the recipient is the guest, and not the hotel itself."""
        return self.kind is not NoticeKind.ADDRESS_REFUSED
