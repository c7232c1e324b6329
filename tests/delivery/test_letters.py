"""Letters contain the facts of their notice in the guest's language, and no input of a guest breaks them."""

import html
import re
import textwrap
import unicodedata
from datetime import date
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.wording import clean
from innkeeper.protocol.notifications.letters import Letter
from innkeeper.protocol.notifications.notices import KINDS_OF_A_STAY, Notice, NoticeKind
from support.example_notices import EXPIRES, HOTEL, STAY, confirmation_for, notice

LETTERS = Letters(None)
LANGUAGES = ("en", "pt", "de")
ARRIVAL = {"en": "Thursday, July 2, 2026", "pt": "quinta-feira, 2 de julho de 2026", "de": "Donnerstag, 2. Juli 2026"}
MONEY = {"en": "€{0},{1}.50", "pt": "{0} {1},50 €", "de": "{0}.{1},50 €"}
FREE_UNTIL = {"en": "June 30, 2026 at 3:00 PM", "pt": "30 de junho de 2026, 15:00", "de": "30. Juni 2026, 15:00 Uhr"}
HELD_UNTIL = {"en": "June 2, 2026 at 12:30 PM", "pt": "2 de junho de 2026, 12:30", "de": "2. Juni 2026, 12:30 Uhr"}


class _Page(HTMLParser):
    """The text of an HTML page and its tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words, self.tags, self._open = "", [], ""  # type: ignore[var-annotated]
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open != "style":
            self.words += " " + data


def single_spaced(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())


def both_forms(letter: Letter) -> tuple[str, str]:
    """The texts of a letter's plain and HTML forms."""
    return single_spaced(letter.text), single_spaced(_Page(letter.html).words)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", NoticeKind)
def test_both_forms_of_every_letter_contain_the_facts(kind: NoticeKind, language: str) -> None:
    letter = LETTERS.write(notice(kind, language=language))
    is_entry = kind in (NoticeKind.WAITLIST_JOINED, NoticeKind.WAITLIST_LEFT)
    assert letter.language == language
    assert ("K7Q2ZP" in letter.subject) != is_entry
    assert "Seaside Lodge" in letter.subject
    for form in both_forms(letter):
        assert ("K7Q2ZP" in form) != is_entry
        for fact in ("Ana Sousa", "Seaside Lodge", "Double with balcony", ARRIVAL[language]):
            assert fact in form, fact
        assert (MONEY[language].format(1, 234) in form) == (kind in KINDS_OF_A_STAY)
        assert not re.search(r"[{}]|%[}]|None|Undefined|Markup|Subject:", form)
    assert all(len(line) <= 78 for line in letter.text.splitlines())
    assert f'<html lang="{language}">' in letter.html


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_letter_mixes_languages(language: str) -> None:
    others = {"en": ("Guten", "Olá", "Anreise", "Quarto"), "pt": ("Dear", "Guten", "Room", "Zimmer"),
              "de": ("Dear", "Olá", "Room", "Quarto")}  # fmt: skip
    for kind in NoticeKind:
        text = LETTERS.write(notice(kind, language=language)).text
        assert not [word for word in others[language] if re.search(rf"\b{word}\b", text)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_cancellation_and_hold_deadlines_are_in_the_hotels_time_zone(language: str) -> None:
    for kind in NoticeKind:
        text = single_spaced(LETTERS.write(notice(kind, language=language)).text)
        free = kind in (NoticeKind.CONFIRMATION, NoticeKind.CHANGE, NoticeKind.REMINDER)
        held = kind in (NoticeKind.HOLD, NoticeKind.HOLD_EXPIRING, NoticeKind.WAITLIST_OFFER)
        assert (FREE_UNTIL[language] in text) == free
        assert (HELD_UNTIL[language] in text) == held
    tokyo = msgspec.structs.replace(HOTEL, timezone="Asia/Tokyo")
    assert "June 2, 2026 at 8:30 PM" in single_spaced(LETTERS.write(notice(NoticeKind.HOLD, hotel=tokyo)).text)


def test_the_fee_of_a_late_cancellation_is_named_only_where_it_applies() -> None:
    assert "cancelling this booking costs €617.25" in single_spaced(LETTERS.write(notice(free_until=0)).text)
    assert "free of charge" not in LETTERS.write(notice(free_until=0)).text
    held = notice(NoticeKind.CHANGE, free_until=0, expires_at=EXPIRES)
    assert "cancel" not in LETTERS.write(held).text
    assert "holding the room for you until June 2" in single_spaced(LETTERS.write(held).text)
    assert "cancel" not in LETTERS.write(notice(NoticeKind.CHANGE, free_until=0)).text


def test_a_booking_that_can_always_be_cancelled_free_of_charge_says_so() -> None:
    for kind in (NoticeKind.CONFIRMATION, NoticeKind.CHANGE, NoticeKind.REMINDER):
        text = single_spaced(LETTERS.write(notice(kind, free_until=0, late_fee=0, no_show_fee=0)).text)
        assert "cancel free of charge." in text
        assert "cost" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_no_show_that_costs_something_else_is_named(language: str) -> None:
    assert "1,234.50" in LETTERS.write(notice(no_show_fee=123_450, language="en")).text
    names = {"en": "do not arrive", "de": "Nichtanreise", "pt": "não comparência"}
    for fee, is_named in ((123_450, True), (61_725, False), (0, False)):
        text = single_spaced(LETTERS.write(notice(no_show_fee=fee, language=language)).text)
        assert (names[language] in text) == is_named


def test_a_cancellation_letter_names_its_fee_or_says_that_there_is_none() -> None:
    assert "a cancellation fee of €617.25 applies" in single_spaced(LETTERS.write(notice(NoticeKind.CANCELLATION)).text)
    free = LETTERS.write(notice(NoticeKind.CANCELLATION, fee=0)).text
    assert "free of charge" in free
    assert "€" not in free


def test_a_receipt_names_the_amount_paid() -> None:
    assert "Amount paid: €1,000.00" in LETTERS.write(notice(NoticeKind.RECEIPT)).text


def test_a_change_letter_shows_the_old_and_new_value_of_what_differs() -> None:
    text = single_spaced(LETTERS.write(notice(NoticeKind.CHANGE)).text)
    changed, now = text.split("What has changed")[1].split("Your booking now")
    assert "Departure: Friday, July 3, 2026 → Saturday, July 4, 2026" in changed
    assert "Guests: 2 adults → 2 adults, 2 children (aged under 1 and 7)" in changed
    assert "€617.25 (1 night at €617.25) → €1,234.50 (2 nights at €617.25)" in changed
    assert "Arrival" not in changed
    assert "Room" not in changed
    assert "→" not in now
    same = single_spaced(LETTERS.write(notice(NoticeKind.CHANGE, before=STAY)).text)
    assert "→" not in same
    assert "What has changed" not in same


@pytest.mark.parametrize(
    ("language", "ages", "expected"),
    [
        ("en", (), "2 adults"),
        ("en", (3,), "2 adults, 1 child (aged 3)"),
        ("de", (9, 3), "2 Erwachsene, 2 Kinder (Alter: 3 und 9)"),
        ("pt", (3,), "2 adultos, 1 criança (idade: 3)"),
        ("pt", (9, 3, 0), "2 adultos, 3 crianças (idades: menos de 1, 3 e 9)"),
    ],
)
def test_guests_are_counted_by_the_grammar_of_the_language(language: str, ages: tuple[int, ...], expected: str) -> None:
    stay = msgspec.structs.replace(STAY, children=ages)
    lines = LETTERS.write(notice(stay=stay, language=language)).text.splitlines()
    assert expected in {line.partition(": ")[2] for line in lines}


def test_one_night_and_one_adult_are_singular() -> None:
    stay = msgspec.structs.replace(STAY, adults=1, children=(), departure=date(2026, 7, 3))
    text = LETTERS.write(notice(stay=stay)).text
    assert "Guests: 1 adult\n" in text
    assert "(1 night at" in text


@pytest.mark.parametrize(
    ("currency", "units", "expected"),
    [("JPY", 12_345, "¥12,345 "), ("KWD", 12_345, "KWD 12.345 "), ("HUF", 12_345, "HUF 123.45 "),
     ("LBP", 5, "LBP 0.05 "), ("GBP", 0, "£0.00 ")],
)  # fmt: skip
def test_money_has_as_many_decimals_as_in_the_ledger(currency: str, units: int, expected: str) -> None:
    hotel = msgspec.structs.replace(HOTEL, currency=currency)
    stay = msgspec.structs.replace(STAY, prices=(units,), departure=date(2026, 7, 3))
    text = LETTERS.write(notice(hotel=hotel, stay=stay)).text.replace("\u00a0", " ")
    assert re.search(rf"Price: {re.escape(expected)}\(", text), text


@pytest.mark.parametrize(
    ("requested", "language", "expected_text"),
    [
        ("pt-BR", "pt", "2 de julho"),
        ("PT", "pt", "2 de julho"),
        ("de-AT", "de", "2. Juli"),
        ("de-CH-1996", "de", "2. Juli"),
        ("en-GB", "en", "Thursday, 2 July 2026, from 15:00"),
        ("en-XX", "en", "Thursday, July 2, 2026"),
        ("fr", "en", "July 2, 2026"),
        ("fr-CA", "en", "July 2, 2026"),
        ("../../etc", "en", "July 2, 2026"),
        ("", "en", "July 2, 2026"),
        ("de\n", "en", "July 2, 2026"),
    ],
)
def test_the_nearest_supported_language_is_used(requested: str, language: str, expected_text: str) -> None:
    letter = LETTERS.write(notice(language=requested))
    assert letter.language == language
    assert expected_text in letter.text


def test_money_is_formatted_for_the_region_of_the_language() -> None:
    assert "€ 1.234,50" in LETTERS.write(notice(language="pt-BR")).text.replace("\u00a0", " ")
    assert "1 234,50 €" in LETTERS.write(notice(language="pt")).text.replace("\u00a0", " ")


def test_a_notice_always_gives_the_same_letter() -> None:
    assert Letters(None).write(notice()) == LETTERS.write(notice())


def test_input_of_a_guest_is_neither_markup_nor_template_code() -> None:
    letter = LETTERS.write(confirmation_for("<script>alert('&')</script> {{ 7 * 7 }} {guest} {% raw %}"))
    assert "<script" not in letter.html
    assert "&lt;script&gt;alert(" in letter.html
    assert "{{ 7 * 7 }} {guest} {% raw %}" in html.unescape(letter.html)
    assert "<script>alert('&')</script> {{ 7 * 7 }} {guest} {% raw %}" in single_spaced(letter.text)
    assert "&lt;" not in letter.text


def test_control_characters_and_direction_marks_are_removed_from_a_name() -> None:
    assert clean("Ann\u202e moc.live\u2066\r\n\x00\x85\u2028Bcc:\ud800 x") == "Ann moc.live Bcc: x"


PLAIN_TAGS = _Page(LETTERS.write(notice()).html).tags


@settings(max_examples=150, deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_no_guest_name_changes_the_form_of_a_letter(name: str) -> None:
    letter = LETTERS.write(confirmation_for(name))
    assert _Page(letter.html).tags == PLAIN_TAGS
    assert len(letter.subject.splitlines()) == 1
    assert not [c for c in letter.text if unicodedata.category(c) in ("Cc", "Cs") and c != "\n"]
    assert clean(name) == clean(clean(name))
    assert single_spaced(clean(name)) in single_spaced(letter.text)


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=400))
def test_the_subject_is_one_short_line_for_any_hotel_name(name: str) -> None:
    letter = LETTERS.write(notice(hotel=msgspec.structs.replace(HOTEL, name=name)))
    assert 0 < len(letter.subject) <= 200
    assert len(letter.subject.splitlines()) == 1
    assert _Page(letter.html).tags == PLAIN_TAGS


@settings(max_examples=100, deadline=None)
@given(st.text("ab -\u00a0", min_size=1, max_size=300))
def test_long_lines_are_broken_between_words(name: str) -> None:
    letter = LETTERS.write(notice(hotel=msgspec.structs.replace(HOTEL, name=f"x{name}")))
    broken = textwrap.fill(clean(f"x{name}"), 72, break_long_words=False, break_on_hyphens=False)
    assert letter.text.endswith(f"\n{broken}\n")
    room = LETTERS.write(notice(stay=msgspec.structs.replace(STAY, room_type=f"x{name}"))).text
    line = f"Room: {clean(f'x{name}')}"
    assert textwrap.fill(line, 72, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) in room


def test_a_subject_that_is_too_long_is_cut() -> None:
    letter = LETTERS.write(notice(hotel=msgspec.structs.replace(HOTEL, name="a" * 300)))
    assert len(letter.subject) == 200
    assert letter.subject.endswith("a…")


def test_every_kind_of_notice_has_a_letter_in_each_language() -> None:
    subjects = {LETTERS.write(notice(kind, language=language)).subject for kind in NoticeKind for language in LANGUAGES}
    assert len(subjects) == len(NoticeKind) * len(LANGUAGES)


def test_a_notice_with_only_its_required_fields_gives_a_letter() -> None:
    for kind in NoticeKind:
        minimal = Notice(id="1", kind=kind, hotel=HOTEL, booking="b", locator="L", stay=STAY, language="de",
                       recipient=notice().recipient)  # fmt: skip
        text = LETTERS.write(minimal).text
        assert "  " not in text.replace("\n  ", "\n")
        assert "bis zum ." not in text
