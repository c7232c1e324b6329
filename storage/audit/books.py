"""Compares what reservations and billing know of each other's bookings.

They differ where a journal was rolled back or replaced while the other was not.
"""

from collections.abc import Iterator, Mapping

from innkeeper.storage.audit.hotel_record import HotelRecord
from innkeeper.storage.audit.ledger_record import LedgerRecord


def differences(hotels: Mapping[str, HotelRecord], ledgers: Mapping[str, LedgerRecord]) -> Iterator[str]:
    """Yields a message for each folio without a booking, and for each booking without a folio although billing has
    followed its hotel beyond it (P13)."""
    for hotel, books in sorted(ledgers.items()):
        known = hotels.get(hotel)
        bookings = {} if known is None else known.bookings
        last = 0 if known is None else known.seq
        if books.applied > last:
            yield f"{hotel}: billing follows event {books.applied}, but reservations end at event {last} (P13)"
        for booking in sorted(books.folios.keys() - bookings - books.given_up):
            yield f"{hotel}: there is a folio of {booking}, but no such booking (P13)"
        for booking, held in sorted(bookings.items()):
            if held.made <= books.applied and booking not in books.folios:
                yield f"{hotel}: booking {booking} has no folio (P13)"
