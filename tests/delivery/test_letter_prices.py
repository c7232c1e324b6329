"""Letters say what the booking costs and how it is paid, and how the hotel is reached, in each language."""

from datetime import date

import msgspec
import pytest
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.message import compose
from innkeeper.protocol.billing.terms import BankAccount
from innkeeper.protocol.notifications.notices import (
    KINDS_OF_A_STAY,
    DepositFacts,
    HotelContact,
    Notice,
    NoticeKind,
    TaxFacts,
)
from support.example_notices import HOTEL, NOON, STAY, notice
from support.mail_folder import html_words

LETTERS = Letters(None)
CONTACT = HotelContact(
    address=("Rua do Mar 1", "8000-001 Faro"),
    phone="+351 289 000 000",
    email="desk@seaside.example.com",
    website="https://seaside.example/stay/{locator}",
    bank=BankAccount("PT50000201231234567890154", "CGDIPTPL", "Seaside Lda"),
    payment_link="https://pay.example/?ref={locator}&a=1",
)
TAXES = (TaxFacts("VAT 6 %", 6_988), TaxFacts("City tax", 800))
DEPOSITS = (DepositFacts(date(2026, 6, 1), 12_345), DepositFacts(date(2026, 6, 18), 24_690))
ACCOUNT = "IBAN PT50 0002 0123 1234 5678 9015 4, BIC CGDIPTPL"
SAID = {
    "en": ("including VAT 6 %: €69.88", "including City tax: €8.00", "Deposit: €123.45, due by June 1, 2026",
           f"quoting K7Q2ZP: Seaside Lda, {ACCOUNT}.", "pay the deposit online: https://pay.example/?ref=K7Q2ZP&a=1"),
    "pt": ("incluindo VAT 6 %: 69,88 €", "incluindo City tax: 8,00 €",
           "Sinal: 123,45 €, a pagar até 1 de junho de 2026",
           f"a referência K7Q2ZP: Seaside Lda, {ACCOUNT}.", "pagar o sinal online: https://pay.example/?ref=K7Q2ZP"),
    "de": ("darin VAT 6 %: 69,88 €", "darin City tax: 8,00 €", "Anzahlung: 123,45 €, fällig bis 1. Juni 2026",
           f"K7Q2ZP auf dieses Konto: Seaside Lda, {ACCOUNT}.", "online bezahlen: https://pay.example/?ref=K7Q2ZP"),
}  # fmt: skip


def priced(kind: NoticeKind = NoticeKind.CONFIRMATION, **more: object) -> Notice:
    """A notice of a stay with taxes and deposits, of a hotel that says all about itself."""
    stay = msgspec.structs.replace(STAY, taxes=TAXES, deposits=DEPOSITS)
    hotel = msgspec.structs.replace(HOTEL, contact=CONTACT)
    return notice(kind, **({"stay": stay, "hotel": hotel} | more))


def words(text: str) -> str:
    return " ".join(text.replace("\u00a0", " ").split())


@pytest.mark.parametrize("language", SAID)
@pytest.mark.parametrize("kind", sorted(KINDS_OF_A_STAY))
def test_letters_of_a_stay_name_taxes_deposits_and_how_to_pay_them(kind: NoticeKind, language: str) -> None:
    letter = LETTERS.write(priced(kind, language=language))
    for said in SAID[language]:
        assert said in words(letter.text)
        assert said.replace(": ", " ") in words(html_words(letter.html)).replace(": ", " ")
    assert 'href="https://pay.example/?ref=K7Q2ZP&amp;a=1"' in letter.html


@pytest.mark.parametrize("kind", [kind for kind in NoticeKind if kind is not NoticeKind.ADDRESS_REFUSED])
def test_every_letter_to_a_guest_says_how_to_reach_the_hotel(kind: NoticeKind) -> None:
    one = priced(kind)
    letter = LETTERS.write(one)
    for form in (letter.text, html_words(letter.html)):
        for said in ("Rua do Mar 1", "8000-001 Faro", "+351 289 000 000"):
            assert said in words(form)
        assert ("https://seaside.example/stay/K7Q2ZP" in form) == bool(one.locator)
        assert "{locator}" not in form
        assert ("IBAN" in form) == (kind in KINDS_OF_A_STAY)
    assert b'\r\nReply-To: "Seaside Lodge" <desk@seaside.example.com>\r\n' in compose(one, letter, "a@b.example", NOON)


def test_what_is_paid_covers_the_earliest_deposit_first() -> None:
    text = words(LETTERS.write(priced(paid=20_000)).text)
    assert "June 1, 2026" not in text
    assert "Deposit: €170.35, due by June 18, 2026" in text
    paid = words(LETTERS.write(priced(paid=37_035)).text)
    assert "Deposit" not in paid
    assert "IBAN" not in paid


def test_a_letter_to_the_hotel_has_no_footer_and_no_address_for_replies() -> None:
    one = priced(NoticeKind.ADDRESS_REFUSED)
    letter = LETTERS.write(one)
    assert "Rua do Mar" not in letter.text
    assert b"Reply-To" not in compose(one, letter, "a@b.example", NOON)


def test_replies_go_to_the_sender_where_the_hotels_address_needs_smtputf8() -> None:
    contact = msgspec.structs.replace(CONTACT, email="mesa-é@seaside.example.com")
    one = priced(hotel=msgspec.structs.replace(HOTEL, contact=contact))
    assert b"Reply-To" not in compose(one, LETTERS.write(one), "a@b.example", NOON)
