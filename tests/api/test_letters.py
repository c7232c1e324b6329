"""What guests are told over HTTP: each end of a promise is a letter."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.mail_folder import MailFolder, text

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
