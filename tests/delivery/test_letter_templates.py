"""A hotel writes its own letters; where one of its templates is broken, the guest still gets ours."""

import logging
from pathlib import Path

import msgspec
import pytest
from innkeeper.delivery.email.letters import Letters
from innkeeper.protocol.notifications.notices import NoticeKind
from support.example_notices import HOTEL, confirmation_for, notice
from support.paths import ROOT

OURS = Letters(None)
OWN = """{% extends layout %}
{% block subject %}Ahoy, {{ guest }}{% endblock %}
{% block opening %}
The sea is waiting for you from {{ check_in }}.

Bring a
towel.
{% endblock %}
{% block closing %}Fair winds, {{ locator }}{% endblock %}
"""
SAID = "{% extends layout %}{% block subject %}x{% endblock %}{% block closing %}{% endblock %}{% block opening %}"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Where the hotel puts its templates."""
    put(tmp_path, "en/confirmation.txt", OWN)
    return tmp_path


def put(own: Path, name: str, text: str, hotel: str = "seaside") -> None:
    path = own / hotel / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def test_a_hotels_own_letter_takes_the_place_of_ours(own: Path) -> None:
    letter = Letters(own).write(confirmation_for("Bo & <Co>"))
    assert letter.subject == "Ahoy, Bo & <Co>"
    assert "\nThe sea is waiting for you from 3:00\u00a0PM.\n\nBring a towel.\n" in letter.text
    assert "Booking reference: K7Q2ZP" in letter.text
    assert ">Bring a towel.</p>" in letter.html
    assert "<title>Ahoy, Bo &amp; &lt;Co&gt;</title>" in letter.html


def test_only_for_what_it_wrote(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    letters = Letters(own)
    for other in (
        notice(NoticeKind.HOLD),
        notice(language="de"),
        notice(hotel=msgspec.structs.replace(HOTEL, id="hillside")),
    ):
        assert letters.write(other) == OURS.write(other)
    assert caplog.records == []


@pytest.mark.parametrize(
    "broken",
    [
        "{% extends layout %}{% block subject %}",
        "{% extends layout %}{% block subject %}{{ nobody_knows }}{% endblock %}",
        SAID + "{{ ''.__class__.__mro__ }}{% endblock %}",
        SAID + "{{ '{0.__class__}'.format(hotel) }}{% endblock %}",
        SAID + "{{ tables.append.__func__ }}{% endblock %}",
        SAID + "{{ tables.clear() }}{% endblock %}",
        SAID + "{% for x in range(10 ** 9) %}{{ x }}{% endfor %}{% endblock %}",
        SAID + "{{ 1 // 0 }}{% endblock %}",
        "{% extends layout %}{% block subject %}  {% endblock %}{% block opening %}x{% endblock %}",
        "{% extends layout %}{% block subject %}x{% endblock %}",
        "{% extends '../../../ours.txt' %}",
        "{% include '/etc/passwd' %}",
        "{% extends 'en/confirmation.txt' %}",
        "Subject: Hello\n\nNo layout at all",
        "No subject",
        "",
    ],
)
def test_a_broken_one_does_not_stop_a_confirmation(own: Path, caplog: pytest.LogCaptureFixture, broken: str) -> None:
    put(own, "en/confirmation.txt", broken)
    assert Letters(own).write(notice()) == OURS.write(notice())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "seaside's template confirmation (en) cannot be used" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_one_that_is_no_text_at_all_is_broken_too(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    (own / "seaside/en/confirmation.txt").write_bytes(b"\xff\xfe\x00")
    assert Letters(own).write(notice()) == OURS.write(notice())
    assert len(caplog.records) == 1


def test_it_cannot_read_what_is_not_told_to_guests(own: Path) -> None:
    put(own, "en/cancellation.txt", OWN.replace("{{ check_in }}", "{{ reason }}"))
    assert Letters(own).write(notice(NoticeKind.CANCELLATION)) == OURS.write(notice(NoticeKind.CANCELLATION))


def test_a_template_of_another_hotel_is_out_of_reach(own: Path) -> None:
    put(own, "secret.txt", "secret", hotel="hillside")
    put(own, "en/confirmation.txt", OWN.replace("Bring", "{% include '../hillside/secret.txt' %}"))
    assert "secret" not in Letters(own).write(notice()).text


@pytest.mark.parametrize(
    "id_", ["..", ".", "", "../seaside", "seaside/", "/etc", "SEASIDE", "sea\x00side", "seaside\n"]
)
def test_a_hotels_name_leads_nowhere_else(own: Path, id_: str) -> None:
    letter = Letters(own / "hillside" if id_ == "../seaside" else own).write(
        notice(hotel=msgspec.structs.replace(HOTEL, id=id_))
    )
    assert letter == OURS.write(notice())


def test_what_is_changed_counts_from_the_next_letter(own: Path) -> None:
    letters = Letters(own)
    assert letters.write(notice()).subject == "Ahoy, Ana Sousa"
    put(own, "en/confirmation.txt", OWN.replace("Ahoy", "Hello"))
    assert letters.write(notice()).subject == "Hello, Ana Sousa"
    (own / "seaside/en/confirmation.txt").unlink()
    assert letters.write(notice()) == OURS.write(notice())
    put(own, "en/confirmation.txt", OWN)
    assert letters.write(notice()).subject == "Ahoy, Ana Sousa"


def test_words_are_changed_one_by_one_and_the_rest_stays_ours(own: Path) -> None:
    put(own, "en/words.toml", 'greeting = "Ahoy {guest}!"\n[labels]\nroom = "Cabin"\n')
    text = Letters(own).write(notice(NoticeKind.HOLD)).text
    assert text.startswith("Ahoy Ana Sousa!\n")
    assert "\nCabin: Double with balcony\n" in text
    assert "\nName: Ana Sousa\n" in text


@pytest.mark.parametrize("words", ["greeting = ", "greeting = 3", 'greeting = "{who}"', 'no_such_word = "x"'])
def test_broken_words_do_not_stop_a_letter(own: Path, caplog: pytest.LogCaptureFixture, words: str) -> None:
    put(own, "en/words.toml", words)
    assert Letters(own).write(notice()) == OURS.write(notice())
    assert len(caplog.records) == 1


def test_a_word_cannot_look_inside_a_value(own: Path) -> None:
    put(own, "en/words.toml", 'greeting = "Dear {guest.__class__}"')
    assert Letters(own).write(notice()).text.startswith("Dear {guest.__class__}\n")


def test_a_dialect_takes_what_it_does_not_say_from_its_language(own: Path) -> None:
    put(own, "pt-BR/confirmation.txt", OWN.replace("Ahoy", "Oi"))
    letters = Letters(own)
    letter = letters.write(notice(language="pt-br"))
    assert (letter.subject, letter.language) == ("Oi, Ana Sousa", "pt-BR")
    assert "Chegada: quinta-feira, 2 de julho" in letter.text
    assert letters.write(notice(language="pt")) == OURS.write(notice(language="pt"))


def test_a_language_that_we_do_not_speak(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(own, "fr/confirmation.txt", OWN.replace("Ahoy", "Bonjour"))
    letters = Letters(own)
    assert letters.write(notice(language="fr")).language == "en"
    assert "words" in caplog.text.lower() or "missing" in caplog.text
    english = (ROOT / "delivery/email/templates/en/words.toml").read_text("utf-8")
    put(own, "fr/words.toml", english.replace('locale = "en"', 'locale = "fr"').replace("Dear", "Bonjour"))
    letter = letters.write(notice(language="fr"))
    assert (letter.subject, letter.language) == ("Bonjour, Ana Sousa", "fr")
    assert "jeudi 2 juillet 2026" in letter.text


def test_a_page_of_its_own_and_our_plain_text(own: Path) -> None:
    put(own, "en/hold.html", "<!DOCTYPE html><html><body><h1>{{ guest }}</h1></body></html>")
    letter = Letters(own).write(notice(NoticeKind.HOLD))
    assert "<h1>Ana Sousa</h1>" in letter.html
    assert letter.text == OURS.write(notice(NoticeKind.HOLD)).text


def test_a_layout_of_its_own_for_all_its_letters(own: Path) -> None:
    put(
        own,
        "page.html",
        "<!doctype html><title>{% block title %}{% endblock %}</title>{% block body %}{% endblock %}SEA",
    )
    letters = Letters(own)
    for kind in NoticeKind:
        assert letters.write(notice(kind)).html.endswith("SEA\n")
        assert "K7Q2ZP" in letters.write(notice(kind)).html
