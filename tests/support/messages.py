"""Messages of any kind, for property-based tests."""

from datetime import date

import msgspec
from hypothesis import strategies as st
from innkeeper.protocol.billing import replies as billing_replies
from innkeeper.protocol.billing.commands import CreditedLine, CreditedLines
from innkeeper.protocol.billing.folio import (
    Bill,
    Corrected,
    DepositDue,
    DocumentLine,
    DocumentStay,
    Folio,
    FolioLine,
    Invoice,
    IssuedNumbers,
    LedgerDetails,
    LinePosition,
    PaymentOnAccount,
    StayTerms,
    TaxTotal,
)
from innkeeper.protocol.billing.payment import Chargeback, NextAction, Operation, Payment, PaymentNews
from innkeeper.protocol.billing.terms import (
    BankAccount,
    BankAccountRequest,
    BillingTerms,
    BillingTermsRequest,
    Party,
    PartyRequest,
)
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.reservations.booking import Booking, PriceLine, RoomSegment
from innkeeper.protocol.reservations.closures import Closure
from innkeeper.protocol.reservations.events import EVENTS
from innkeeper.protocol.reservations.hotel import Hotel, RetiredRoom, RoomType
from innkeeper.protocol.reservations.hotel_requests import (
    ClosureRequest,
    HotelChange,
    RoomAddition,
    RoomTypeAddition,
    RoomTypeChange,
)
from innkeeper.protocol.reservations.refusals import DisplacedBooking
from innkeeper.protocol.reservations.replies import RoomCare, RoomDetails, TypeAvailability
from innkeeper.protocol.reservations.requests import (
    BookingChange,
    BookingRequest,
    Contact,
    ContactChange,
    HotelRequest,
    RoomTypeRequest,
    WaitlistChange,
    WaitlistRequest,
)
from innkeeper.protocol.reservations.room_events import ClosureKind
from innkeeper.protocol.reservations.terms import (
    CancellationPolicy,
    CancellationRequest,
    Deposit,
    DepositRequest,
    TaxRequest,
    TermsOfSale,
)
from innkeeper.protocol.values.guests import Guest, GuestDetails, StoredGuest
from innkeeper.protocol.values.money import Money
from innkeeper.protocol.values.percentage import render_percent
from innkeeper.protocol.values.taxes import ChargeKind, Tax, TaxAmount, TaxExemption

_text = st.text(
    st.characters(
        exclude_categories=("Cs", "Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Mn", "Lo"), exclude_characters="\ufffc\ufffd"
    ),
    min_size=1,
    max_size=12,
).map(str.strip)
_name = _text.filter(bool)
_code = st.from_regex(r"[A-Z0-9]{1,4}", fullmatch=True)
_money = st.builds(Money, st.integers(0, 10**6).map(lambda cents: f"{cents // 100}.{cents % 100:02d}"), st.just("EUR"))
_day = st.dates(date(2020, 1, 1), date(2030, 1, 1))

st.register_type_strategy(str, _name)
st.register_type_strategy(int, st.integers(0, 2**53))
st.register_type_strategy(Money, _money)


@st.composite
def stays(draw: st.DrawFn) -> tuple[object, object]:
    """An arrival, and a departure after it."""
    arrival = draw(_day)
    return arrival, arrival.fromordinal(arrival.toordinal() + draw(st.integers(1, 365)))


@st.composite
def requests(draw: st.DrawFn) -> BookingRequest:
    """Valid booking requests."""
    arrival, departure = draw(stays())
    held = draw(st.booleans())
    return BookingRequest(
        room_type=draw(_code),
        arrival=arrival,
        departure=departure,
        guest=draw(st.builds(Contact, _name, st.none() | st.just("a@b.example"), st.none() | _text)),
        adults=draw(st.integers(1, 100)),
        children=tuple(draw(st.lists(st.integers(0, 17), max_size=4))),
        status="held" if held else "confirmed",
        hold_seconds=draw(st.none() | st.integers(1, 86_400)) if held else None,
        room=draw(st.none() | _code),
        rate=draw(st.none() | _money),
        notes=draw(st.just("") | _text),
        reminder_on=draw(st.none() | _day),
    )


def waitlist_request(request: BookingRequest) -> WaitlistRequest:
    """The same stay, as a request for the waitlist."""
    return WaitlistRequest(**{name: getattr(request, name) for name in WaitlistRequest.__struct_fields__})


_tax_plans = st.builds(
    TaxRequest,
    code=_code,
    name=_name,
    applies_to=st.lists(st.sampled_from(ChargeKind), min_size=1, max_size=3).map(tuple),
    rate=st.integers(1, 100_000).map(render_percent),
    included=st.booleans(),
    exempt_below=st.integers(0, 18),
)
_deposit_plans = st.builds(DepositRequest, st.integers(1, 30), st.none() | st.integers(0, 99))
_taxes = st.lists(_tax_plans, max_size=3, unique_by=lambda tax: tax.code).map(tuple)
_deposits = st.lists(_deposit_plans, max_size=3).map(tuple)
_policies = st.builds(CancellationRequest, st.integers(0, 100), st.integers(0, 3), st.integers(0, 3))
_hotel_changes = st.builds(
    HotelChange,
    taxes=st.just(msgspec.UNSET) | _taxes,
    deposits=st.just(msgspec.UNSET) | _deposits,
    cancellation=st.just(msgspec.UNSET) | _policies,
    name=st.just(msgspec.UNSET) | _name,
    check_in=st.just(msgspec.UNSET) | st.just("14:00"),
    night_audit=st.just(msgspec.UNSET) | st.sampled_from(["manual", "03:00"]),
    housekeeping=st.just(msgspec.UNSET) | st.booleans(),
    infants_below=st.just(msgspec.UNSET) | st.integers(0, 18),
)
_guests_max = st.integers(1, 100)
_type_additions = st.builds(
    RoomTypeAddition,
    code=_code,
    name=_name,
    max_guests=st.just(100),
    rate=st.just(Money("10.00", "EUR")),
    max_adults=st.none() | _guests_max,
    cots=st.none() | st.integers(0, 9),
    rooms=st.lists(_code, max_size=3, unique=True).map(tuple),
)
_type_changes = st.builds(
    RoomTypeChange,
    name=st.just(msgspec.UNSET) | _name,
    max_guests=st.just(msgspec.UNSET) | _guests_max,
    rate=st.just(msgspec.UNSET) | st.just(Money("12.00", "EUR")),
    max_adults=st.just(msgspec.UNSET) | st.none() | _guests_max,
    cots=st.just(msgspec.UNSET) | st.none() | st.integers(0, 9),
)
_closure_requests = st.builds(
    ClosureRequest,
    kind=st.sampled_from(ClosureKind),
    until=_day,
    first=st.none() | _day,
    reason=st.just("") | _text,
)
_hotel_requests = st.builds(
    HotelRequest,
    name=_name,
    timezone=st.sampled_from(["Europe/Lisbon", "UTC", "Asia/Tokyo"]),
    currency=st.just("EUR"),
    room_types=st.just((RoomTypeRequest("DBL", "Double", 2, Money("10.00", "EUR"), room_count=2),)),
    id=st.none() | st.just("inn"),
    business_date=st.none() | _day,
    night_audit=st.sampled_from(["manual", "03:00"]),
    taxes=_taxes,
    deposits=_deposits,
    cancellation=_policies,
)
_contact_changes = st.builds(
    ContactChange,
    name=st.just(msgspec.UNSET) | _name,
    email=st.just(msgspec.UNSET) | st.none() | st.just("a@b.example"),
    phone=st.just(msgspec.UNSET) | st.none() | _text,
)
_changes = st.builds(
    BookingChange,
    guest=st.just(msgspec.UNSET) | _contact_changes,
    notes=st.just(msgspec.UNSET) | _text,
    reminder_on=st.just(msgspec.UNSET) | st.none() | _day,
    adults=st.just(msgspec.UNSET) | st.integers(1, 9),
)
_waitlist_changes = st.builds(
    WaitlistChange,
    guest=st.just(msgspec.UNSET) | _contact_changes,
    notes=st.just(msgspec.UNSET) | _text,
    adults=st.just(msgspec.UNSET) | st.integers(1, 9),
)

_parties = st.builds(PartyRequest, _name, st.lists(_name, max_size=3).map(tuple), st.just("") | _text)
_billing_plans = st.builds(
    BillingTermsRequest,
    seller=_parties,
    invoice_prefix=st.sampled_from(["INV-", "2026/", "{year}-"]),
)
_accounts = st.just(BankAccountRequest("PT50000201231234567890154", "CGDIPTPL"))
_credited_lines = st.lists(st.builds(CreditedLine, position=st.integers(1, 99)), max_size=2, unique=True).map(tuple)
for _kind, _strategy in (
    (BookingRequest, requests()),
    (WaitlistRequest, requests().map(waitlist_request)),
    (HotelRequest, _hotel_requests),
    (HotelChange, _hotel_changes),
    (RoomTypeAddition, _type_additions),
    (RoomTypeChange, _type_changes),
    (ClosureRequest, _closure_requests),
    (RoomAddition, st.builds(RoomAddition, number=_code, room_type=_code)),
    (BookingChange, _changes),
    (WaitlistChange, _waitlist_changes),
    (PartyRequest, _parties),
    (BillingTermsRequest, _billing_plans),
    (BankAccountRequest, _accounts),
):
    st.register_type_strategy(_kind, _strategy)

_records = st.deferred(
    lambda: st.builds(
        RecordedEvent,
        _text,
        st.integers(1, 9),
        st.integers(0, 9),
        _text,
        _text,
        _text,
        st.sampled_from(EVENTS).flatmap(messages),
    )
)
_BY_NAME: dict[str, st.SearchStrategy[object]] = {
    "arrival": _day,
    "departure": _day,
    "room": _code,
    "hold_seconds": st.integers(1, 86_400),
    "quantity": st.integers(1, 1_000),
    "limit": st.integers(1, 200),
    "lines": st.lists(st.integers(1, 99), min_size=1, max_size=3, unique=True).map(tuple),
    "provider": st.sampled_from(["simulated", "bank-2"]),
    "record": _records,
    "percent": st.integers(1, 100),
    "days_before_arrival": st.none() | st.integers(0, 99),
    "kept_until": _day,
    "language": st.sampled_from(["en", "pt-BR"]),
}
_NESTED = {
    Guest, GuestDetails, StoredGuest, Booking, Hotel, RoomType, RetiredRoom, Closure, RoomCare, RoomDetails,
    DisplacedBooking, CancellationPolicy, TypeAvailability, Bill,
    BillingTerms, BankAccount, Deposit, Corrected, DocumentLine, DocumentStay, IssuedNumbers, PaymentOnAccount,
    DepositDue, Folio, FolioLine, Invoice, LedgerDetails, Payment, Operation, Chargeback, PaymentNews, NextAction,
    LinePosition, StayTerms, Tax, TaxAmount, TaxTotal, PriceLine, RoomSegment, TermsOfSale, TaxExemption,
    billing_replies.AccountBalance, Party,
}  # fmt: skip


def messages(kind: type[msgspec.Struct]) -> st.SearchStrategy[msgspec.Struct]:
    """Any message of a kind, from the types of its fields."""
    fields = {field.name: _of(field.name, field.type) for field in msgspec.structs.fields(kind)}
    return st.fixed_dictionaries(fields).map(lambda values: _build(kind, values))


def _of(name: str, kind: object) -> st.SearchStrategy[object]:
    if kind == CreditedLines:
        return _credited_lines
    if kind in _NESTED:
        return messages(kind)  # type: ignore[arg-type]
    arguments = getattr(kind, "__args__", ())
    if arguments and arguments[0] in _NESTED:
        tuples = st.lists(messages(arguments[0]), max_size=2).map(tuple)
        return tuples if arguments[-1] is Ellipsis else st.none() | messages(arguments[0])
    if name in _BY_NAME:
        return _BY_NAME[name]
    return st.from_type(kind)  # type: ignore[arg-type]


def _build(kind: type[msgspec.Struct], values: dict[str, object]) -> msgspec.Struct:
    if {"arrival", "departure"} <= values.keys() and values["departure"] <= values["arrival"]:  # type: ignore[operator]
        values["departure"] = values["arrival"].fromordinal(values["arrival"].toordinal() + 1)  # type: ignore[attr-defined]
    if kind.__name__ == "SplitCharge":
        values["quantity"] = None if values["amount"] else 1
    if kind.__name__ == "FindAvailability":
        days = min(values["departure"].toordinal() - values["arrival"].toordinal(), 300)  # type: ignore[attr-defined]
        values["departure"] = values["arrival"].fromordinal(values["arrival"].toordinal() + days)  # type: ignore[attr-defined]
    return kind(**values)
