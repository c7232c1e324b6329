"""The words of documents in a language, and the formats of dates, money and rates that go with it.

The words come from `words/`, a file per language; the formats from Unicode's CLDR (Babel), those of the reader's
country where the requested language names one.
"""

import tomllib
from contextlib import suppress
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import msgspec
from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_decimal
from innkeeper.protocol.billing.folio import DocumentKind, ReversalReason
from innkeeper.protocol.values.money import digits
from innkeeper.protocol.values.percentage import render_percent
from innkeeper.protocol.values.taxes import TaxCategory

_WORDS = Path(__file__).parent / "words"
_LANGUAGE = "en"
_LOCALES_KEPT = 64


class DocumentLabels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The headings of a document, and the labels of its facts."""

    number: str
    date: str
    due_on: str
    booking: str
    guest: str
    room: str
    stay: str
    credits: str
    replaces: str
    reason: str
    supplied_on: str
    description: str
    quantity: str
    unit_price: str
    rate: str
    net: str
    tax: str
    gross: str
    total: str
    paid: str
    set_off: str
    due: str
    owed: str
    taxes: str
    payments: str
    payment: str
    bank: str
    reference: str
    amounts: str


class DocumentWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The words of documents in a language; names in braces are replaced by values. `phrases` translates what the
    program itself writes on documents, in English: its charges and reasons. `locale` (BCP 47) is used where the
    requested language names no country."""

    locale: str
    page: str
    tax_number: str
    vat_id: str
    from_to: str
    night: str
    night_without_room: str
    deposit: str
    deposit_settled: str
    corrects: str
    why: str
    paid_by: str
    without_tax: str
    titles: dict[DocumentKind, str]
    labels: DocumentLabels
    phrases: dict[str, str]
    methods: dict[str, str]
    categories: dict[TaxCategory, str]
    reasons: dict[ReversalReason, str]


class Formats:
    """Formats dates, money and rates for a locale. Dates have one style, with the day in two digits."""

    def __init__(self, locale: Locale) -> None:
        self.locale = locale

    def date(self, day: date) -> str:
        """A date, such as 21 Jul 2027."""
        return _plain(format_date(day, "medium", self.locale))

    def money(self, minor_units: int, currency: str) -> str:
        """An amount with the digits that ISO 4217 gives the currency, which is not named."""
        places = digits(currency)
        return self._decimal(Decimal(minor_units).scaleb(-places), places)

    def price(self, amount: str) -> str:
        """A price, given as a decimal string, with all its digits."""
        return self._decimal(Decimal(amount), len(amount.partition(".")[2]))

    def rate(self, thousandths: int) -> str:
        """A rate, in thousandths of a percent."""
        text = render_percent(thousandths)
        return f"{self._decimal(Decimal(text), len(text.partition('.')[2]))}\u00a0%"

    def _decimal(self, amount: Decimal, places: int) -> str:
        pattern = "#,##0." + "0" * places if places else "#,##0"
        text = _plain(format_decimal(amount, pattern, self.locale, group_separator=True))
        return text.replace("-", "−")


class Language(msgspec.Struct, frozen=True):
    """The language of a document: its tag, its words, and its formats."""

    tag: str
    words: DocumentWords
    formats: Formats


@lru_cache(_LOCALES_KEPT)
def language_of(requested: str) -> Language:
    """The available language nearest to the requested one (BCP 47); English where there is none."""
    root = requested.partition("-")[0].lower()
    tag = root if root in _languages() else _LANGUAGE
    words = msgspec.convert(tomllib.loads((_WORDS / f"{tag}.toml").read_text("utf-8")), DocumentWords)
    locale = Locale.parse(words.locale, sep="-")
    if tag == root and "-" in requested:
        with suppress(UnknownLocaleError, ValueError):
            locale = Locale.parse(requested, sep="-")
    return Language(tag, words, Formats(locale))


@lru_cache(1)
def _languages() -> frozenset[str]:
    return frozenset(path.stem for path in _WORDS.glob("*.toml"))


def _plain(text: str) -> str:
    """The text with the no-break space that more fonts have."""
    return text.replace("\u202f", "\u00a0")
