"""The words by which bookings are found: names in any script, contacts and locators, as people type them.

A booking is indexed by words in lower case without accents; a search finds it where each word of the search begins one
of them. What has several spellings is indexed in each: Łukasz as `łukasz` and `lukasz`, Müller as `muller` and
`mueller`, O'Neil as `o`, `neil` and `oneil`. Names in scripts without spaces are found by any part, so that 太郎 finds
山田太郎; and phones by any of their digits from the fourth last on.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from anyascii import anyascii
from innkeeper.protocol.reservations.booking import Booking

_WORD = re.compile(r"[^\W_]+")
_APOSTROPHES = re.compile(r"(?<=\w)['’ʼ‘`´-](?=\w)")
_WITHOUT_SPACES = re.compile(  # Thai and Lao, Hangul, Kana, Han
    "[\u0e00-\u0eff\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]"
)
_PHONE = re.compile(r"[\d\s()+./-]+")
_NO_DIGIT = re.compile(r"\D+")
_TWO_LETTERS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "æ": "ae"})
_LOCATOR_TYPOS: Final = str.maketrans("oil", "011")  # letters that no locator has, and what is read as them
_LOCATOR_LENGTH: Final = 6
_PHONE_DIGITS_MIN: Final = 4


def indexed_words(booking: Booking) -> list[str]:
    """Returns the words by which a booking is found, each once."""
    words = {booking.locator.lower(): None}
    guest = booking.guest.details
    if guest is not None:
        words |= dict.fromkeys(_words_of(guest.name))
        words |= dict.fromkeys(_words_of(guest.email or ""))
        words |= dict.fromkeys(_ends_of(_digits(guest.phone or "")))
    return [*words]


def searched_words(text: str) -> list[list[str]]:
    """Returns the readings of a search: a booking is found where, for any of them, each of its words begins a word of
    the booking. Empty where the text has no word."""
    plain = _WORD.findall(_plain(text))
    readings = [plain, _WORD.findall(_latin(text))]
    if len(plain) == 1 and len(plain[0]) <= _LOCATOR_LENGTH:
        readings.append([plain[0].translate(_LOCATOR_TYPOS)])
    if _PHONE.fullmatch(text):
        readings.append([_digits(text)])
    return [[*reading] for reading in dict.fromkeys(map(tuple, readings)) if all(reading) and reading]


def is_found(words: Sequence[str], readings: Sequence[Sequence[str]]) -> bool:
    """Returns whether a booking with these words is found by a search with these readings."""
    return any(all(any(word.startswith(begin) for word in words) for begin in reading) for reading in readings)


def _words_of(text: str) -> Iterator[str]:
    """The words of a name or an address, in each spelling."""
    if text.isascii():  # as most are: only what stands between the parts of a word can be left out
        plain = text.lower()
        yield from _WORD.findall(plain)
        if (joined := _APOSTROPHES.sub("", plain)) != plain:
            yield from _WORD.findall(joined)
        return
    for spelling in (_plain(text), _plain(_APOSTROPHES.sub("", text)), _plain(text.lower().translate(_TWO_LETTERS))):
        for word in _WORD.findall(spelling):
            yield word
            if _WITHOUT_SPACES.match(word):
                yield from (word[start:] for start in range(1, len(word)))
    yield from _WORD.findall(_latin(text))


def _ends_of(digits: str) -> Iterator[str]:
    """The ends of a phone number: people leave out its beginning, and know the last digits."""
    for start in range(max(len(digits) - _PHONE_DIGITS_MIN + 1, min(len(digits), 1))):
        yield digits[start:]


def _digits(phone: str) -> str:
    """The digits of a phone number without the zeros at its beginning, which depend on where one calls from."""
    return _NO_DIGIT.sub("", unicodedata.normalize("NFKC", phone)).lstrip("0")


def _plain(text: str) -> str:
    """The text in lower case, without accents."""
    if text.isascii():
        return text.lower()
    split = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", "".join(one for one in split if not unicodedata.combining(one))).casefold()


def _latin(text: str) -> str:
    """The text in lower case and Latin letters without accents."""
    return text.lower() if text.isascii() else anyascii(text).lower()
