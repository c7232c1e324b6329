"""What guests are told over HTTP: each end of a promise is a letter."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar
from support.gateway import Gateway, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.mail_folder import SECONDS_MAX, MailFolder, html_text, text
from support.partition_fixture import night
from support.waiting import wait_until

ANN = {"name": "Ann Reid", "email": "ann@example.com"}
BEA = {"name": "Bea", "email": "bea@example.com"}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


@pytest.fixture
def mail(tmp_path: Path) -> MailFolder:
    """The letters of the gateway."""
    return MailFolder(tmp_path)


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def test_a_guest_is_told_that_a_hold_is_released_or_has_run_out(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel()
    released = gateway.book(hotel, 20, 2, guest=ANN, status="held")
    gateway.act(hotel, released, "release", reason_code="payment")
    assert "The payment for it did not reach us." in text(mail.letter("hold_released"))
    expiring = gateway.book(hotel, 20, 2, guest=BEA, status="held")
    gateway.advance_clock(3_600)
    gateway.get(booking_path(hotel, expiring))
    gateway.book(hotel, 21)  # a command makes the hotel read the clock
    letter = mail.letter("hold_expired")
    assert letter["to"] == "Bea <bea@example.com>"
    assert expiring["locator"] in letter["subject"] + text(letter)


def test_a_guest_is_told_of_a_no_show_and_its_fee(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel()
    booking = gateway.book(hotel, 0, 2, guest=ANN)
    gateway.act(hotel, booking, "no-show")
    letter = mail.letter("no_show")
    fee = f"€{gateway.get(booking_path(hotel, booking)).json['fee']['amount']}"
    assert f"we charge {fee} for this" in text(letter)
    assert f"No-show fee: {fee}" in text(letter)


def test_a_guest_is_told_of_a_refund(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel()
    booking = gateway.book(hotel, 20, 2, guest=ANN)
    path = f"{booking_path(hotel, booking)}/folio/payments"
    paid = gateway.post(path, {"method": "cash", "amount": euros("100.00")}).json
    mail.letter("receipt")
    refund = gateway.post(f"{hotel}/payments/{paid['id']}/actions/refund", {"amount": euros("40.00")})
    assert refund.status == 200, refund
    assert "We have refunded €40.00 to you." in text(mail.letter("refund"))


HOTEL_OF_LETTERS = {
    "language": "en", "change_delay_seconds": 0, "email": "desk@seaside.example.com",
    "address": ["Rua do Mar 1", "8000-001 Faro"], "phone": "+351 289 000 000", "website": "https://seaside.example/stay/{locator}",
    "payment_link": "https://pay.example/{locator}",
}  # fmt: skip


def test_the_confirmation_says_the_price_of_the_booking_with_taxes_and_deposits(
    gateway: Gateway, mail: MailFolder
) -> None:
    """Example 11: 99.00 with 6 % inside, and a city tax from age 13 on at most seven nights."""
    city = {
        "code": "CITY", "name": "City tax", "applies_to": ["room"], "amount": euros("2.00"), "nights_max": 7,
        "exempt_below": 13,
    }  # fmt: skip
    vat = {"code": "VAT", "name": "VAT 6 %", "applies_to": ["room"], "rate": "6", "included": True}
    deposits = [{"percent": 10}, {"percent": 20, "days_before_arrival": 14}]
    family = {"code": "FAM", "name": "Family", "max_guests": 3, "rate": euros("99.00"), "room_count": 1}
    hotel = gateway.open_hotel(room_types=[family], taxes=[vat, city], deposits=deposits)
    assert gateway.send("PUT", f"{hotel}/notifications", HOTEL_OF_LETTERS).status == 200
    gateway.set_billing(hotel, bank={"iban": "PT50000201231234567890154", "bic": "CGDIPTPL"})
    wait_until(lambda: not any(one["lag"] for one in gateway.get("/v1/subscribers").json["data"]), SECONDS_MAX)
    booking = gateway.book(hotel, 30, 9, room_type="FAM", adults=2, children=[5], guest=ANN)
    assert booking["price"]["total"] == "919.00"
    letter = mail.letter("confirmation")
    assert letter["reply-to"] == "Seaside <desk@seaside.example.com>"
    for form in (text(letter), html_text(letter)):
        for said in (
            "€919.00 (9 nights)", "VAT 6 % €50.40", "City tax €28.00", "€91.90, due by June 1, 2026",
            "€183.80, due by June 17, 2026",
            "quoting " + booking["locator"], "Seaside Lda, IBAN PT50 0002 0123 1234 5678 9015 4, BIC CGDIPTPL",
            "Rua do Mar 1", "+351 289 000 000",
            "https://seaside.example/stay/" + booking["locator"], "https://pay.example/" + booking["locator"],
        ):  # fmt: skip
            assert said in form.replace(": ", " ").replace(":\u00a0", " "), said
    bill = gateway.get(f"{booking_path(hotel, booking)}/folio").json
    assert [one["amount"]["amount"] for one in bill["deposits"]] == ["91.90", "183.80"]  # 275.70
    path = f"{booking_path(hotel, booking)}/folio/payments"
    assert gateway.post(path, {"method": "cash", "amount": euros("100.00")}).status == 201
    mail.letter("receipt")
    gateway.send("PATCH", booking_path(hotel, booking), {"rate": euros("98.00")})
    changed = text(mail.letter("change"))
    assert "€919.00 (9 nights) → €910.00 (9 nights)" in changed
    assert "€173.00, due by June 17, 2026" in changed, "273.00 less what is paid"
    assert "June 1, 2026" not in changed


def letters_about_changes(mail: MailFolder) -> dict[str, str]:
    """Their texts, by the guest's name."""
    return {letter["to"].addresses[0].display_name: text(letter) for letter in mail.letters("change")}


def test_letters_count_what_was_returned_or_moved_as_not_paid(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel(deposits=[{"percent": 50}])
    assert gateway.send("PUT", f"{hotel}/notifications", {"change_delay_seconds": 0}).status == 200
    ann, bea = gateway.book(hotel, 20, 1, guest=ANN), gateway.book(hotel, 20, 1, guest=BEA)
    payments = [
        gateway.post(f"{booking_path(hotel, ann)}/folio/payments", {"method": "transfer", "amount": euros("20.00")})
        for _ in range(2)
    ]
    returned, moved = (payment.headers["location"] for payment in payments)
    assert gateway.post(f"{returned}/actions/return", {}).status == 200
    assert gateway.post(f"{moved}/actions/move", {"to_folio": 1, "to_booking": bea["id"]}).status == 200
    wait_until(lambda: not any(one["lag"] for one in gateway.get("/v1/subscribers").json["data"]), SECONDS_MAX)
    for booking, due in ((ann, "€50.00, due by"), (bea, "€30.00, due by")):
        gateway.send("PATCH", booking_path(hotel, booking), {"adults": 2})
        wait_until(lambda to=booking["guest"]["name"]: to in letters_about_changes(mail), SECONDS_MAX)
        assert due in letters_about_changes(mail)[booking["guest"]["name"]]


def test_quick_changes_are_one_letter_and_none_where_they_end_as_they_began(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel()
    ann, bea = gateway.book(hotel, 20, 2, guest=ANN), gateway.book(hotel, 20, 2, guest=BEA)
    for changed in ({"adults": 2}, {"rate": euros("90.00")}, {"departure": str(night(23))}, {"rate": euros("95.00")}):
        assert gateway.send("PATCH", booking_path(hotel, ann), changed).status == 200
    for adults in (2, 1):
        assert gateway.send("PATCH", booking_path(hotel, bea), {"adults": adults}).status == 200
    letters = {one["kind"]: one for one in gateway.get(f"{booking_path(hotel, ann)}/letters").json["data"]}
    assert letters["change"]["status"] == "waiting"
    assert "change" not in [one["kind"] for one in gateway.get(f"{booking_path(hotel, bea)}/letters").json["data"]]
    gateway.restart()
    assert not mail.letters("change")
    gateway.advance_clock(120)
    gateway.book(hotel, 30, guest=BEA)  # a new notice makes the relay read the clock
    told = text(mail.letter("change"))
    assert "€200.00 (2 nights at €100.00) → €285.00 (3 nights at €95.00)" in told
    assert "1 adult → 2 adults" in told
    wait_until(lambda: len(mail.letters("confirmation")) == 3, SECONDS_MAX)
    assert len(mail.letters("change")) == 1


def test_a_letter_is_in_the_language_of_the_guest(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel()
    booking = gateway.book(hotel, 20, 2, guest=ANN | {"language": "de-AT"})
    assert booking["guest"]["language"] == "de-AT"
    assert mail.letter("confirmation")["content-language"] == "de"
    change = {"guest": {"language": "pt"}}
    assert gateway.send("PATCH", booking_path(hotel, booking), change).json["guest"]["language"] == "pt"
    gateway.act(hotel, booking, "cancel")
    assert mail.letter("cancellation")["content-language"] == "pt"
    assert len(mail.letters()) == 2, "another language alone is no letter"
    english = gateway.book(hotel, 20, 2, guest=BEA | {"language": None})
    wait_until(lambda: len(mail.letters("confirmation")) == 2, SECONDS_MAX)
    assert english["guest"]["language"] is None
    assert {letter["content-language"] for letter in mail.letters("confirmation")} == {"de", "en"}
    wrong = gateway.post(f"{hotel}/bookings", stay_request(20, 2) | {"guest": ANN | {"language": "german!"}})
    assert_problem(wrong, 422, "invalid", "guest.language", "form")


def test_the_reason_of_a_cancellation_is_told_and_what_the_staff_wrote_is_not(
    gateway: Gateway, mail: MailFolder
) -> None:
    hotel = gateway.open_hotel()
    booking = gateway.book(hotel, 20, 2, guest=ANN)
    gateway.act(hotel, booking, "cancel", reason_code="hotel", reason="burst pipe, keep quiet")
    mail.letter("confirmation")
    told = text(mail.letter("cancellation"))
    assert "The hotel had to cancel it" in told
    files = [one for letter in mail.letters() for one in letter.iter_attachments()]
    entries = [Calendar.from_ical(one.get_payload(decode=True)).walk("VEVENT")[0] for one in files]
    confirmed, cancelled = sorted(entries, key=lambda entry: int(entry["SEQUENCE"]))
    assert confirmed["UID"] == cancelled["UID"]
    assert [str(entry["STATUS"]) for entry in (confirmed, cancelled)] == ["CONFIRMED", "CANCELLED"]
    assert "pipe" not in told


def wait_for(gateway: Gateway, hotel: str, guest: dict[str, Any]) -> Any:
    response = gateway.post(f"{hotel}/waitlist", stay_request(20, 2) | {"guest": guest})
    assert response.status == 201, response
    return response.json


def test_a_guest_on_the_waitlist_is_told_of_the_place_and_of_its_end(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booked = gateway.book(hotel, 20, 2)
    entry = wait_for(gateway, hotel, ANN)
    assert "a place on our waiting list" in text(mail.letter("waitlist_joined"))
    assert gateway.send("DELETE", f"{hotel}/waitlist/{entry['id']}").status == 200
    assert "removed, as requested" in text(mail.letter("waitlist_left"))
    wait_for(gateway, hotel, BEA)
    gateway.act(hotel, booked, "cancel")
    assert mail.letter("waitlist_offer")["to"] == "Bea <bea@example.com>"
    gateway.advance_clock(25 * 3_600)
    gateway.book(hotel, 40)
    assert "offer it to the next guest" in text(mail.letter("waitlist_offer_expired"))
    assert not mail.letters("hold_expired")
