"""Example notices for tests of letters."""

from datetime import UTC, date, datetime
from typing import Any

import msgspec
from innkeeper.protocol.notifications.notices import HotelFacts, Notice, NoticeKind, Recipient, StayFacts
from innkeeper.protocol.values.instants import microseconds

HOTEL = HotelFacts("seaside", "Seaside Lodge", "Europe/Lisbon", "EUR", "15:00", "11:00")
STAY = StayFacts(guest="Ana Sousa", room_type="Double with balcony", arrival=date(2026, 7, 2),
                 departure=date(2026, 7, 4), adults=2, prices=(61_725,) * 2, children=(7, 0))  # fmt: skip
BEFORE = msgspec.structs.replace(STAY, departure=date(2026, 7, 3), children=(), prices=(61_725,))
NOON = microseconds(datetime(2026, 6, 1, 12, tzinfo=UTC))
FREE_UNTIL = microseconds(datetime(2026, 6, 30, 14, tzinfo=UTC))  # three o'clock in Lisbon
EXPIRES = microseconds(datetime(2026, 6, 2, 11, 30, tzinfo=UTC))

_FEES = {"late_fee": 61_725, "no_show_fee": 61_725}
_MORE: dict[NoticeKind, dict[str, Any]] = {
    NoticeKind.CONFIRMATION: {"free_until": FREE_UNTIL, **_FEES},
    NoticeKind.HOLD: {"expires_at": EXPIRES},
    NoticeKind.CHANGE: {"free_until": FREE_UNTIL, "before": BEFORE, **_FEES},
    NoticeKind.CANCELLATION: {"fee": 61_725, "reason": "guest"},
    NoticeKind.NO_SHOW: {"fee": 61_725},
    NoticeKind.REMINDER: {"free_until": FREE_UNTIL, **_FEES},
    NoticeKind.HOLD_EXPIRED: {},
    NoticeKind.HOLD_RELEASED: {"reason": "payment"},
    NoticeKind.RECEIPT: {"amount": 100_000},
    NoticeKind.REFUND: {"amount": 100_000},
    NoticeKind.REFUND_FAILED: {"amount": 100_000},
    NoticeKind.HOLD_EXPIRING: {"expires_at": EXPIRES},
    NoticeKind.WAITLIST_JOINED: {"locator": ""},
    NoticeKind.WAITLIST_OFFER: {"expires_at": EXPIRES},
    NoticeKind.WAITLIST_OFFER_EXPIRED: {},
    NoticeKind.WAITLIST_LEFT: {"locator": "", "reason": "lapsed"},
    NoticeKind.ADDRESS_REFUSED: {"reason": "550 5.1.1", "recipient": Recipient("Seaside Lodge", "desk@inn.example")},
}


def notice(kind: NoticeKind = NoticeKind.CONFIRMATION, **more: Any) -> Notice:
    """A notice with the usual fields of its kind."""
    fields: dict[str, Any] = {
        "id": f"seaside:7:{kind.value}", "hotel": HOTEL, "booking": "b", "locator": "K7Q2ZP", "stay": STAY,
        "recipient": Recipient("Ana Sousa", "ana@example.com"),
    }  # fmt: skip
    return Notice(kind=kind, **(fields | _MORE[kind] | more))


def confirmation_for(name: str) -> Notice:
    """A confirmation for a guest of this name."""
    return notice(recipient=Recipient(name, "ana@example.com"), stay=msgspec.structs.replace(STAY, guest=name))
