"""A hotel can replace the templates of its letters; where one of its own is broken, the built-in one is used."""

import logging
import time
from pathlib import Path

import msgspec
import pytest
from innkeeper.delivery.email.letters import Letters
from innkeeper.protocol.notifications.notices import NoticeKind
from support.example_notices import HOTEL, confirmation_for, notice
from support.paths import ROOT

BUILT_IN = Letters(None)
OWN_TEMPLATE = """{% extends layout %}
{% block subject %}Ahoy, {{ guest }}{% endblock %}
{% block opening %}
The sea is waiting for you from {{ check_in }}.

Bring a
towel.
{% endblock %}
{% block closing %}Fair winds, {{ locator }}{% endblock %}
"""
OPENING_ONLY = (
    "{% extends layout %}{% block subject %}x{% endblock %}{% block closing %}{% endblock %}{% block opening %}"
)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """The folder of the hotels' own templates, with a confirmation of hotel seaside."""
    write_template(tmp_path, "en/confirmation.txt", OWN_TEMPLATE)
    return tmp_path


def write_template(templates: Path, name: str, text: str, hotel: str = "seaside") -> None:
    path = templates / hotel / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def test_a_hotels_own_template_replaces_the_built_in_one(templates: Path) -> None:
    letter = Letters(templates).write(confirmation_for("Bo & <Co>"))
    assert letter.subject == "Ahoy, Bo & <Co>"
    assert "\nThe sea is waiting for you from 3:00\u00a0PM.\n\nBring a towel.\n" in letter.text
    assert "Booking reference: K7Q2ZP" in letter.text
    assert ">Bring a towel.</p>" in letter.html
    assert "<title>Ahoy, Bo &amp; &lt;Co&gt;</title>" in letter.html


def test_other_kinds_languages_and_hotels_keep_the_built_in_templates(
    templates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    letters = Letters(templates)
    for other in (
        notice(NoticeKind.HOLD),
        notice(language="de"),
        notice(hotel=msgspec.structs.replace(HOTEL, id="hillside")),
    ):
        assert letters.write(other) == BUILT_IN.write(other)
    assert caplog.records == []


@pytest.mark.parametrize(
    "broken",
    [
        "{% extends layout %}{% block subject %}",
        "{% extends layout %}{% block subject %}{{ nobody_knows }}{% endblock %}",
        OPENING_ONLY + "{{ ''.__class__.__mro__ }}{% endblock %}",
        OPENING_ONLY + "{{ '{0.__class__}'.format(hotel) }}{% endblock %}",
        OPENING_ONLY + "{{ tables.append.__func__ }}{% endblock %}",
        OPENING_ONLY + "{{ tables.clear() }}{% endblock %}",
        OPENING_ONLY + "{% for x in range(10 ** 9) %}{{ x }}{% endfor %}{% endblock %}",
        OPENING_ONLY + "{{ 1 // 0 }}{% endblock %}",
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
def test_a_broken_template_falls_back_to_the_built_in_one(
    templates: Path, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    write_template(templates, "en/confirmation.txt", broken)
    assert Letters(templates).write(notice()) == BUILT_IN.write(notice())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "seaside's template confirmation (en) cannot be used" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_a_template_that_is_not_text_falls_back_to_the_built_in_one(
    templates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (templates / "seaside/en/confirmation.txt").write_bytes(b"\xff\xfe\x00")
    assert Letters(templates).write(notice()) == BUILT_IN.write(notice())
    assert len(caplog.records) == 1


def test_a_template_cannot_read_what_guests_are_not_told(templates: Path) -> None:
    write_template(templates, "en/cancellation.txt", OWN_TEMPLATE.replace("{{ check_in }}", "{{ guest_id }}"))
    assert Letters(templates).write(notice(NoticeKind.CANCELLATION)) == BUILT_IN.write(notice(NoticeKind.CANCELLATION))


def test_a_template_cannot_include_one_of_another_hotel(templates: Path) -> None:
    write_template(templates, "secret.txt", "secret", hotel="hillside")
    write_template(
        templates, "en/confirmation.txt", OWN_TEMPLATE.replace("Bring", "{% include '../hillside/secret.txt' %}")
    )
    assert "secret" not in Letters(templates).write(notice()).text


@pytest.mark.parametrize(
    "id_", ["..", ".", "", "../seaside", "seaside/", "/etc", "SEASIDE", "sea\x00side", "seaside\n"]
)
def test_a_hotel_id_cannot_lead_out_of_the_template_folder(templates: Path, id_: str) -> None:
    letter = Letters(templates / "hillside" if id_ == "../seaside" else templates).write(
        notice(hotel=msgspec.structs.replace(HOTEL, id=id_))
    )
    assert letter == BUILT_IN.write(notice())


def test_a_changed_template_is_used_from_the_next_letter_on(templates: Path) -> None:
    letters = Letters(templates)
    assert letters.write(notice()).subject == "Ahoy, Ana Sousa"
    write_template(templates, "en/confirmation.txt", OWN_TEMPLATE.replace("Ahoy", "Hello"))
    assert letters.write(notice()).subject == "Hello, Ana Sousa"
    (templates / "seaside/en/confirmation.txt").unlink()
    assert letters.write(notice()) == BUILT_IN.write(notice())
    write_template(templates, "en/confirmation.txt", OWN_TEMPLATE)
    assert letters.write(notice()).subject == "Ahoy, Ana Sousa"


def test_the_first_template_of_a_hotel_is_noticed_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = time.monotonic()
    monkeypatch.setattr("innkeeper.delivery.email.letters.monotonic", lambda: seconds)
    letters = Letters(tmp_path)
    assert not letters.has_own("seaside")
    write_template(tmp_path, "en/confirmation.txt", OWN_TEMPLATE)
    assert not letters.has_own("seaside")
    seconds += 1
    assert letters.has_own("seaside")
    assert not letters.has_own("hillside")


def test_a_template_that_was_compiled_before_is_compiled_again_after_a_change(
    templates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("innkeeper.delivery.email.letters.time_ns", lambda: time.time_ns() + 60 * 10**9)
    letters, folder = Letters(templates), templates / "seaside"
    assert [letters.write(notice()).subject for _ in range(2)] == ["Ahoy, Ana Sousa"] * 2
    write_template(templates, "en/confirmation.txt", OWN_TEMPLATE.replace("Ahoy", "Hello"))
    assert letters.write(notice()).subject == "Hello, Ana Sousa"
    write_template(templates, "en/words.toml", 'greeting = "Moin {guest}!"')
    assert letters.write(notice()).text.startswith("Moin Ana Sousa!\n")
    (folder / "en/.#confirmation.txt").symlink_to("nowhere")
    (folder / "en/round").symlink_to(folder)
    assert letters.write(notice()).subject == "Hello, Ana Sousa"
    (folder / "en/confirmation.txt").unlink()
    assert letters.write(notice()).subject == BUILT_IN.write(notice()).subject


def test_a_hotels_own_templates_are_compiled_once(templates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.delivery.email.letters.time_ns", lambda: time.time_ns() + 60 * 10**9)
    letters = Letters(templates)
    letters.write(notice())
    start = time.thread_time()
    for _ in range(20):
        letters.write(notice())
    often = time.thread_time() - start
    (templates / "seaside/en/other.txt").write_text("x")
    start = time.thread_time()
    letters.write(notice())
    assert often < 20 * (time.thread_time() - start) / 2, "compiling takes much longer"


def test_single_words_are_replaced_and_the_rest_stays_built_in(templates: Path) -> None:
    write_template(templates, "en/words.toml", 'greeting = "Ahoy {guest}!"\n[labels]\nroom = "Cabin"\n')
    text = Letters(templates).write(notice(NoticeKind.HOLD)).text
    assert text.startswith("Ahoy Ana Sousa!\n")
    assert "\nCabin: Double with balcony\n" in text
    assert "\nName: Ana Sousa\n" in text


@pytest.mark.parametrize("words", ["greeting = ", "greeting = 3", 'greeting = "{who}"', 'no_such_word = "x"'])
def test_broken_words_fall_back_to_the_built_in_ones(
    templates: Path, caplog: pytest.LogCaptureFixture, words: str
) -> None:
    write_template(templates, "en/words.toml", words)
    assert Letters(templates).write(notice()) == BUILT_IN.write(notice())
    assert len(caplog.records) == 1


def test_a_word_cannot_read_an_attribute_of_a_value(templates: Path) -> None:
    write_template(templates, "en/words.toml", 'greeting = "Dear {guest.__class__}"')
    assert Letters(templates).write(notice()).text.startswith("Dear {guest.__class__}\n")


def test_a_regional_language_falls_back_to_its_base_language(templates: Path) -> None:
    write_template(templates, "pt-BR/confirmation.txt", OWN_TEMPLATE.replace("Ahoy", "Oi"))
    letters = Letters(templates)
    letter = letters.write(notice(language="pt-br"))
    assert (letter.subject, letter.language) == ("Oi, Ana Sousa", "pt-BR")
    assert "Chegada: quinta-feira, 2 de julho" in letter.text
    assert letters.write(notice(language="pt")) == BUILT_IN.write(notice(language="pt"))


def test_a_hotel_adds_a_language_with_its_own_templates_and_words(
    templates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_template(templates, "fr/confirmation.txt", OWN_TEMPLATE.replace("Ahoy", "Bonjour"))
    letters = Letters(templates)
    assert letters.write(notice(language="fr")).language == "en"
    assert "words" in caplog.text.lower() or "missing" in caplog.text
    english = (ROOT / "delivery/email/templates/en/words.toml").read_text("utf-8")
    write_template(
        templates, "fr/words.toml", english.replace('locale = "en"', 'locale = "fr"').replace("Dear", "Bonjour")
    )
    letter = letters.write(notice(language="fr"))
    assert (letter.subject, letter.language) == ("Bonjour, Ana Sousa", "fr")
    assert "jeudi 2 juillet 2026" in letter.text


def test_a_hotels_own_html_page_leaves_the_plain_text_built_in(templates: Path) -> None:
    write_template(templates, "en/hold.html", "<!DOCTYPE html><html><body><h1>{{ guest }}</h1></body></html>")
    letter = Letters(templates).write(notice(NoticeKind.HOLD))
    assert "<h1>Ana Sousa</h1>" in letter.html
    assert letter.text == BUILT_IN.write(notice(NoticeKind.HOLD)).text


def test_a_hotels_own_page_layout_applies_to_all_its_letters(templates: Path) -> None:
    write_template(
        templates,
        "page.html",
        "<!doctype html><title>{% block title %}{% endblock %}</title>{% block body %}{% endblock %}SEA",
    )
    letters = Letters(templates)
    for kind in NoticeKind:
        assert letters.write(notice(kind)).html.endswith("SEA\n")
        assert "Ana Sousa" in letters.write(notice(kind)).html
