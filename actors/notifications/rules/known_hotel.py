"""What notifications keeps of a hotel: what its letters say of it."""

from datetime import date

import msgspec
from innkeeper.protocol.billing.events import LedgerOpened, LedgerRenamed
from innkeeper.protocol.billing.terms import BankAccount, BillingTerms
from innkeeper.protocol.notifications.notices import HotelContact, HotelFacts
from innkeeper.protocol.notifications.terms import NotificationTerms
from innkeeper.protocol.reservations import events, room_events
from innkeeper.protocol.reservations.terms import Deposit, TermsOfSale


class KnownLedger(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What notifications keeps of a hotel's ledger: its name, that of the seller, and the bank account."""

    title: str = ""
    seller: str = ""
    bank: BankAccount | None = None

    @property
    def account(self) -> BankAccount | None:
        """The bank account with its holder."""
        bank = self.bank
        return None if bank is None else msgspec.structs.replace(bank, holder=bank.holder or self.seller)


class KnownHotel(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What notifications keeps of a hotel. `room_types` and `taxes` are codes with their names, `deposits` are those of
    the terms of sale from each version on that changed them, the newest first."""

    facts: HotelFacts
    business_date: date
    room_types: tuple[tuple[str, str], ...] = ()
    taxes: tuple[tuple[str, str], ...] = ()
    deposits: tuple[tuple[int, tuple[Deposit, ...]], ...] = ()
    terms: NotificationTerms = NotificationTerms()
    ledger: KnownLedger = KnownLedger()

    def deposits_of(self, version: int) -> tuple[Deposit, ...]:
        """The deposits of this version of the terms of sale."""
        return next((deposits for first, deposits in self.deposits if first <= version), ())


def opened_hotel(hotel: str, event: events.HotelOpened) -> KnownHotel:
    """A hotel that was opened."""
    facts = HotelFacts(hotel, event.title, event.timezone, event.currency, event.check_in, event.check_out)
    return selling_on(KnownHotel(facts=facts, business_date=event.business_date), event.terms)


def changed_hotel(hotel: KnownHotel, event: events.HotelChanged) -> KnownHotel:
    """The hotel with its new name and hours."""
    facts = msgspec.structs.replace(hotel.facts, name=event.title, check_in=event.check_in, check_out=event.check_out)
    return msgspec.structs.replace(hotel, facts=facts)


def on_next_day(hotel: KnownHotel, event: events.BusinessDateRolled) -> KnownHotel:
    """The hotel on its new business date."""
    return msgspec.structs.replace(hotel, business_date=event.opened)


def selling_on(hotel: KnownHotel, terms: TermsOfSale) -> KnownHotel:
    """The hotel with its new terms of sale. A tax that is not due any more keeps its name, for letters about bookings
    that were made on earlier terms."""
    names = dict(hotel.taxes) | {tax.code: tax.name for tax in terms.taxes}
    deposits = hotel.deposits
    if hotel.deposits_of(terms.version) != terms.deposits:
        deposits = ((terms.version, terms.deposits), *deposits)
    return msgspec.structs.replace(hotel, taxes=tuple(names.items()), deposits=deposits)


def writing_on(hotel: KnownHotel, terms: NotificationTerms) -> KnownHotel:
    """The hotel with its new terms of notification."""
    return _with_contact(msgspec.structs.replace(hotel, terms=terms))


def with_ledger(hotel: KnownHotel, event: LedgerOpened) -> KnownHotel:
    """The hotel with its ledger, whose seller it is by itself."""
    return _billing_by(hotel, KnownLedger(event.title, event.title))


def with_renamed_ledger(hotel: KnownHotel, event: LedgerRenamed) -> KnownHotel:
    """The hotel with the new name of its ledger. Where it was the seller's name, it still is."""
    was = hotel.ledger
    return _billing_by(
        hotel, KnownLedger(event.title, event.title if was.seller == was.title else was.seller, was.bank)
    )


def billing_on(hotel: KnownHotel, terms: BillingTerms) -> KnownHotel:
    """The hotel with the seller and the bank account of its new billing terms."""
    return _billing_by(hotel, KnownLedger(hotel.ledger.title, terms.seller.name, terms.bank))


def _billing_by(hotel: KnownHotel, ledger: KnownLedger) -> KnownHotel:
    return _with_contact(msgspec.structs.replace(hotel, ledger=ledger))


def _with_contact(hotel: KnownHotel) -> KnownHotel:
    terms = hotel.terms
    contact = HotelContact(
        terms.address, terms.phone, terms.email or "", terms.website or "", hotel.ledger.account,
        terms.payment_link or "",
    )  # fmt: skip
    known = None if contact == HotelContact() else contact
    return msgspec.structs.replace(hotel, facts=msgspec.structs.replace(hotel.facts, contact=known))


def named_type(hotel: KnownHotel, event: events.RoomTypeAdded | room_events.RoomTypeChanged) -> KnownHotel:
    """The hotel with the name of a room type. One that is not sold any more keeps its name, for letters about bookings
    of it."""
    others = tuple(named for named in hotel.room_types if named[0] != event.code)
    return msgspec.structs.replace(hotel, room_types=(*others, (event.code, event.title)))
