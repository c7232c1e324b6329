"""The facts of a notice in a language: dates, money and counts in the reader's format.

The words come from the `words.toml` of each language, the formats of dates and money from Unicode's CLDR (Babel).
Templates get only these values: text and lists of text, and no objects through which they could reach others.
"""

import copy
import re
import unicodedata
from datetime import date, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.lists import format_list
from innkeeper.protocol.billing.terms import BankAccount
from innkeeper.protocol.notifications.notices import KINDS_OF_A_STAY, HotelContact, Notice, NoticeKind, StayFacts
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.money import digits

Forms = dict[str, str]
"""A phrase for each CLDR plural form of the language: `one`, `other` and so on; `other` is required."""

Rows = list[tuple[str, str]]
"""Labels and their values."""

_Form = Literal["long", "full"]
_LOCATOR = "{locator}"
_NOTHING_KNOWN: dict[str, Any] = {"contact": [], "website": "", "pay_to": "", "pay_online": "", "payment_link": ""}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_CODE_BESIDE_DIGITS = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_BIDI = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NEITHER_SPACE_NOR_TEXT = {"Cc", "Cs", "Zl", "Zp"}
_LOCALES_KEPT, _TEXTS_KEPT = 64, 4_096  # the dates of three years in two forms


class LetterLabels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The label of each fact."""

    reference: str
    guest: str
    room: str
    guests: str
    arrival: str
    departure: str
    price: str
    deposit: str
    fee: str
    no_show_fee: str
    expires: str
    paid: str
    refunded: str
    not_refunded: str


class LetterWording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The phrases that all letters in a language share; names in braces are replaced by values. `locale` (BCP 47) sets
    the format of dates and money where the requested language names no country."""

    locale: str
    greeting: str
    farewell: str
    moment: str
    check_in: str
    check_out: str
    change: str
    changed: str
    unchanged: str
    price: str
    price_varies: str
    tax: str
    deposit: str
    pay_to: str
    pay_online: str
    infant: str
    ages: Forms
    adults: Forms
    children: Forms
    nights: Forms
    labels: LetterLabels


def _describe_account(bank: BankAccount) -> str:
    parts = (bank.holder, f"IBAN {bank.printed_iban}", f"BIC {bank.bic}" if bank.bic else "")
    return ", ".join(clean(part) for part in parts if part)


def clean(text: str) -> str:
    """One line that is safe to show: without control characters, lone surrogates, or characters that change the
    direction of text."""
    if text.isprintable():  # then its only white space is the ordinary one
        return " ".join(text.split())
    characters = (
        " " if character.isspace() or unicodedata.category(character) in _NEITHER_SPACE_NOR_TEXT else character
        for character in text
        if character not in _BIDI
    )
    return " ".join("".join(characters).split())


def facts(notice: Notice, words: LetterWording, language: str, requested: str) -> dict[str, Any]:
    """The values for templates in this language; `requested` is the reader's language. A value that does not apply is
    empty."""
    formats = _formats(words.locale, language, requested)
    return _FactFormatter(notice, words, formats).facts() | {"language": language}


@lru_cache(_LOCALES_KEPT)
def _formats(of_words: str, language: str, requested: str) -> "_Formats":
    """The format of dates and money: that of the reader's country where it is known."""
    own = Locale.parse(of_words, sep="-")
    if "-" not in requested or requested.partition("-")[0] != language.partition("-")[0]:
        return _Formats(own)
    try:
        return _Formats(Locale.parse(requested, sep="-"))
    except (UnknownLocaleError, ValueError):
        return _Formats(own)


class _Formats:
    """Formats dates, times, money and counts as Unicode's CLDR says. Keeps the newest texts: most dates and amounts
    come again, in the same letter and in others."""

    def __init__(self, locale: Locale) -> None:
        self.locale = locale
        self.date = lru_cache(_TEXTS_KEPT)(self._date)
        self.time = lru_cache(_TEXTS_KEPT)(self._time)
        self.money = lru_cache(_TEXTS_KEPT)(self._money)
        self.plural_form = lru_cache(_TEXTS_KEPT)(locale.plural_form)

    def _date(self, day: date, form: _Form) -> str:
        return format_date(day, form, self.locale)

    def _time(self, clock: time) -> str:
        return format_time(clock, "short", locale=self.locale).replace("\u202f", "\u00a0")  # more fonts have it

    def _money(self, minor_units: int, currency: str) -> str:
        """An amount with the digits that ISO 4217 gives the currency, as in the ledger: CLDR drops some of them."""
        places = digits(currency)
        pattern = copy.copy(self.locale.currency_formats["standard"])
        pattern.frac_prec = (places, places)
        amount = Decimal(minor_units).scaleb(-places)
        text: str = pattern.apply(amount, self.locale, currency=currency, currency_digits=False)
        return _CODE_BESIDE_DIGITS.sub("\u00a0", text.replace("\u202f", "\u00a0"))


@lru_cache(_TEXTS_KEPT)
def _pieces(phrase: str) -> list[str]:
    """A phrase in pieces: text, the name of a value, text, and so on."""
    return _PLACEHOLDER.split(phrase)


def _fill(phrase: str, **values: str | int) -> str:
    pieces = _pieces(phrase)
    if len(pieces) == 1:
        return phrase
    return "".join([str(values[piece]) if place % 2 else piece for place, piece in enumerate(pieces)])


class _FactFormatter:
    """Formats the facts of one notice in one language."""

    def __init__(self, notice: Notice, words: LetterWording, formats: _Formats) -> None:
        self._notice = notice
        self._words = words
        self._formats = formats
        self._zone = ZoneInfo(notice.hotel.timezone)
        self._guests = self._describe_guests(notice.stay)
        self._price = self._describe_price(notice.stay)

    def facts(self) -> dict[str, Any]:
        """See `facts`."""
        notice, words = self._notice, self._words
        stay, hotel = notice.stay, clean(notice.hotel.name)
        guest = clean(notice.recipient.name)
        return {
            "kind": notice.kind.value,
            "hotel": hotel,
            "greeting": _fill(words.greeting, guest=guest),
            "farewell": _fill(words.farewell, hotel=hotel),
            "guest": guest,
            "locator": clean(notice.locator),
            "room": clean(stay.room_type),
            "guests": self._guests,
            "arrival": self._formats.date(stay.arrival, "long"),
            "departure": self._formats.date(stay.departure, "long"),
            "check_in": self._formats.time(time.fromisoformat(notice.hotel.check_in)),
            "check_out": self._formats.time(time.fromisoformat(notice.hotel.check_out)),
            "nights": self._count(words.nights, stay.nights),
            "rate": self._rate(stay),
            "total": self._money(stay.total),
            "free_until": self._moment(notice.free_until, "long"),
            "late_fee": self._money(notice.late_fee) if notice.late_fee else "",
            "no_show_fee": self._money(notice.no_show_fee) if notice.no_show_fee else "",
            "expires": self._moment(notice.expires_at, "long"),
            "fee": self._money(notice.fee) if notice.fee else "",
            "amount": self._money(notice.amount) if notice.amount else "",
            **(_NOTHING_KNOWN if notice.hotel.contact is None else self._contact(notice.hotel.contact)),
            "reason": notice.reason if notice.is_to_guest else "",
            "reply": "" if notice.is_to_guest else clean(notice.reason),
            "tables": self._tables(),
        }

    def _tables(self) -> list[tuple[str, Rows]]:
        """Titles and rows: the changes, if there are any, and the current booking."""
        changes = self._changes()
        if not changes:
            return [("", self._rows())]
        return [(self._words.changed, changes), (self._words.unchanged, self._rows())]

    def _rows(self) -> Rows:
        notice, words, labels = self._notice, self._words, self._words.labels
        rows = [(labels.reference, clean(notice.locator))] if notice.locator else []
        rows += self._booked(notice.stay).items()
        if notice.kind in KINDS_OF_A_STAY:
            facts = notice.hotel
            times = {
                labels.arrival: (words.check_in, facts.check_in),
                labels.departure: (words.check_out, facts.check_out),
            }
            for place, (label, value) in enumerate(rows):
                if label in times:
                    phrase, clock = times[label]
                    rows[place] = label, _fill(phrase, date=value, time=self._formats.time(time.fromisoformat(clock)))
            rows.append((labels.price, self._price))
            if notice.stay.taxes or notice.stay.deposits:
                rows += self._parts_of_price()
        more = {
            labels.expires: self._moment(notice.expires_at, "full"),
            labels.no_show_fee if notice.kind is NoticeKind.NO_SHOW else labels.fee: self._money(notice.fee)
            if notice.fee
            else "",
            self._label_of_amount(): self._money(notice.amount) if notice.amount else "",
        }
        return [*rows, *((label, value) for label, value in more.items() if value)]

    def _label_of_amount(self) -> str:
        labels = self._words.labels
        match self._notice.kind:
            case NoticeKind.REFUND:
                return labels.refunded
            case NoticeKind.REFUND_FAILED:
                return labels.not_refunded
        return labels.paid

    def _parts_of_price(self) -> Rows:
        """The taxes and fees in the price, and what is still to be paid of the deposits."""
        words, stay = self._words, self._notice.stay
        rows = [(_fill(words.tax, name=clean(tax.name)), self._money(tax.amount)) for tax in stay.taxes]
        for due, amount in self._notice.deposits_open():
            day = self._formats.date(due, "long")
            rows.append((words.labels.deposit, _fill(words.deposit, amount=self._money(amount), date=day)))
        return rows

    def _link(self, address: str) -> str:
        """A link of the hotel's, about this booking where it says so; empty where it would be about none."""
        locator = self._notice.locator
        return address.replace(_LOCATOR, locator) if locator or _LOCATOR not in address else ""

    def _contact(self, contact: HotelContact) -> dict[str, Any]:
        """How to reach the hotel, and how to pay the deposits, where any is to be paid."""
        notice, words = self._notice, self._words
        found = _NOTHING_KNOWN | {"website": self._link(contact.website)}
        if notice.is_to_guest:
            found["contact"] = [clean(line) for line in (*contact.address, contact.phone) if line]
        if notice.kind in KINDS_OF_A_STAY and notice.deposits_open():
            if contact.bank is not None:
                account = _describe_account(contact.bank)
                found["pay_to"] = _fill(words.pay_to, account=account, locator=clean(notice.locator))
            if contact.payment_link:
                found |= {"pay_online": words.pay_online, "payment_link": self._link(contact.payment_link)}
        return found

    def _changes(self) -> Rows:
        """The facts that have changed, with their old and new values."""
        notice, words = self._notice, self._words
        if notice.before is None:
            return []
        old = self._booked(notice.before) | {words.labels.price: self._describe_price(notice.before)}
        new = self._booked(notice.stay) | {words.labels.price: self._price}
        return [
            (label, _fill(words.change, old=old[label], new=new[label])) for label in new if old[label] != new[label]
        ]

    def _booked(self, stay: StayFacts) -> dict[str, str]:
        labels = self._words.labels
        return {
            labels.guest: clean(stay.guest),
            labels.room: clean(stay.room_type),
            labels.arrival: self._formats.date(stay.arrival, "full"),
            labels.departure: self._formats.date(stay.departure, "full"),
            labels.guests: self._guests if stay is self._notice.stay else self._describe_guests(stay),
        }

    def _describe_guests(self, stay: StayFacts) -> str:
        words = self._words
        parts = [self._count(words.adults, stay.adults)]
        if stay.children:
            ages = [str(age) if age else words.infant for age in sorted(stay.children)]
            children = self._count(words.children, len(ages))
            listed = format_list(ages, "standard", locale=self._formats.locale)
            parts.append(self._count(words.ages, len(ages), children=children, ages=listed))
        return ", ".join(parts)

    def _describe_price(self, stay: StayFacts) -> str:
        nights, total, rate = self._count(self._words.nights, stay.nights), self._money(stay.total), self._rate(stay)
        if not rate:
            return _fill(self._words.price_varies, total=total, nights=nights)
        return _fill(self._words.price, total=total, nights=nights, rate=rate)

    def _rate(self, stay: StayFacts) -> str:
        """The price of each night; empty where they differ."""
        return self._money(stay.prices[0]) if len({*stay.prices}) == 1 else ""

    def _count(self, forms: Forms, count: int, **values: str) -> str:
        phrase = forms.get(self._formats.plural_form(count)) or forms["other"]
        return _fill(phrase, count=count, **values)

    def _moment(self, at: int, form: _Form) -> str:
        """An instant in the hotel's time zone; empty for 0."""
        if not at:
            return ""
        local = instant(at).astimezone(self._zone)
        day, clock = self._formats.date(local.date(), form), self._formats.time(local.time())
        return _fill(self._words.moment, date=day, time=clock)

    def _money(self, minor_units: int) -> str:
        return self._formats.money(minor_units, self._notice.hotel.currency)
