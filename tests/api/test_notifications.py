"""Notifications over HTTP: a request leads to a letter in the mail folder or at a mail server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from innkeeper.delivery.email.smtp import SmtpServer
from support.gateway import Gateway, assert_problem, booking_path
from support.gateway import gateway as running_gateway
from support.mail_folder import MailFolder, text
from support.server_process import run_to_end
from support.smtp_server import free_port, smtp_server
from support.waiting import wait_until

SECONDS_MAX = 60
ANN = {"name": "Ann Reid", "email": "ann@example.com"}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


@pytest.fixture
def mail(tmp_path: Path) -> MailFolder:
    """The letters of the gateway."""
    return MailFolder(tmp_path)


def subscriber(gateway: Gateway, name: str) -> Any:
    return next(each for each in gateway.get("/v1/subscribers").json["data"] if each["name"] == name)


def test_a_guest_gets_a_letter_for_each_change_of_the_booking(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel()
    gateway.send("PUT", f"{hotel}/notifications", {"change_delay_seconds": 0})
    booking = gateway.book(hotel, 20, 2, guest=ANN)
    confirmed = mail.letter("confirmation")
    assert confirmed["to"] == "Ann Reid <ann@example.com>"
    assert confirmed["from"] == "Seaside <reservations@localhost>"
    assert booking["locator"] in confirmed["subject"] + text(confirmed)
    gateway.send("PATCH", booking_path(hotel, booking), {"adults": 2})
    assert "2 adults" in text(mail.letter("change"))
    gateway.act(hotel, booking, "cancel")
    assert "free of charge" in text(mail.letter("cancellation"))
    assert len(mail.letters()) == 3


def test_a_guest_who_pays_gets_a_receipt(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel()
    booking = gateway.book(hotel, 20, 2, guest=ANN)
    payment = {"method": "cash", "amount": {"amount": "50.00", "currency": "EUR"}}
    assert gateway.post(f"{booking_path(hotel, booking)}/folio/payments", payment).status == 201
    assert "Amount paid: €50.00" in text(mail.letter("receipt"))


def test_a_reminder_is_sent_when_it_is_due(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel()
    gateway.book(hotel, 5, 2, guest=ANN)
    mail.letter("confirmation")
    gateway.advance_clock(2 * 24 * 3_600)
    gateway.book(hotel, 20, guest=ANN)  # a new notice makes the relay read the clock
    assert "June 6" in text(mail.letter("reminder"))


def test_a_hotel_sets_the_language_and_the_reminder_time_of_its_letters(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel()
    assert gateway.get(f"{hotel}/notifications").json == {
        "language": "en", "reminder_days": 3, "reminder_at": "10:00", "change_delay_seconds": 120, "email": None,
        "address": [], "phone": "", "website": None, "payment_link": None,
    }  # fmt: skip
    terms = {
        "language": "pt-BR", "reminder_days": 1, "reminder_at": "18:30", "change_delay_seconds": 0,
        "email": "desk@seaside.example.com", "address": ["Rua do Mar 1"], "phone": "+351 1", "website": "https://seaside.example",
        "payment_link": "https://pay.example/{locator}",
    }  # fmt: skip
    assert gateway.send("PUT", f"{hotel}/notifications", terms).json == terms
    assert gateway.get(f"{hotel}/notifications").json == terms
    gateway.restart()
    assert gateway.get(f"{hotel}/notifications").json == terms
    gateway.book(hotel, 2, 2, guest=ANN)
    assert mail.letter("confirmation")["content-language"] == "pt"
    gateway.advance_clock(24 * 3_600 + 5 * 3_600)
    gateway.book(hotel, 20)
    assert not mail.letters("reminder")
    gateway.advance_clock(2 * 3_600)
    gateway.book(hotel, 20, guest=ANN)
    mail.letter("reminder")


@pytest.mark.parametrize(
    ("terms", "field", "rule"),
    [
        ({"language": "english!"}, "language", "form"),
        ({"language": ""}, "language", "form"),
        ({"reminder_days": -1}, "reminder_days", "range"),
        ({"reminder_days": 366}, "reminder_days", "range"),
        ({"reminder_days": "3"}, "reminder_days", "type"),
        ({"change_delay_seconds": -1}, "change_delay_seconds", "range"),
        ({"change_delay_seconds": 3_601}, "change_delay_seconds", "range"),
        ({"reminder_at": "24:00"}, "reminder_at", "form"),
        ({"email": "desk"}, "email", "form"),
        ({"email": "desk@-seaside.example"}, "email", "address"),
        ({"website": "seaside.example"}, "website", "form"),
        ({"payment_link": "javascript:alert(1)"}, "payment_link", "form"),
        ({"website": 'https://seaside.example/"><script>'}, "website", "form"),
        ({"website": "https://" + "a" * 500}, "website", "length"),
        ({"phone": "x" * 201}, "phone", "length"),
        ({"address": ["Rua"] * 7}, "address", "length"),
        ({"payment_details": ["IBAN"]}, "payment_details", "unknown"),
        ({"colour": "red"}, "colour", "unknown"),
    ],
)
def test_invalid_notification_terms_are_refused(
    gateway: Gateway, terms: dict[str, Any], field: str, rule: str
) -> None:  # fmt: skip
    hotel = gateway.open_hotel()
    assert_problem(gateway.send("PUT", f"{hotel}/notifications", terms), 422, "invalid", field, rule)
    assert gateway.get(f"{hotel}/notifications").json["language"] == "en"


def test_the_notification_terms_of_an_unknown_hotel_are_not_found(gateway: Gateway) -> None:
    assert_problem(gateway.get("/v1/hotels/none/notifications"), 404, "not_found")
    assert_problem(gateway.send("PUT", "/v1/hotels/none/notifications", {}), 404, "not_found")


def test_notification_terms_are_unavailable_while_notifications_lag_behind(gateway: Gateway) -> None:
    gateway.post("/v1/subscribers/notifications/actions/pause")
    hotel = gateway.open_hotel()
    assert_problem(gateway.get(f"{hotel}/notifications"), 503, "unavailable")
    gateway.post("/v1/subscribers/notifications/actions/resume")
    assert gateway.get(f"{hotel}/notifications").status == 200


def test_letters_wait_while_mail_is_paused_and_are_sent_once(gateway: Gateway, mail: MailFolder) -> None:
    hotel = gateway.open_hotel()
    gateway.post("/v1/subscribers/mail/actions/pause")
    gateway.book(hotel, 20, 2, guest=ANN)
    wait_until(lambda: subscriber(gateway, "mail")["lag"] == 1, SECONDS_MAX)
    gateway.restart()
    assert (subscriber(gateway, "mail")["paused"], mail.letters()) == (True, [])
    gateway.post("/v1/subscribers/mail/actions/resume")
    mail.letter("confirmation")


def test_a_letter_that_the_mail_server_rejects_becomes_a_dead_letter(tmp_path: Path) -> None:
    with smtp_server() as server:
        server.recipient_replies.append("550 no such user")
        smtp = SmtpServer.parse(f"smtp://127.0.0.1:{server.port}")
        with running_gateway(tmp_path, smtp=smtp, mail_from="stay@inn.example") as gateway:
            gateway.book(gateway.open_hotel(), 20, 2, guest=ANN)
            wait_until(lambda: bool(gateway.get("/v1/dead-letters").json["data"]), SECONDS_MAX)
            (letter,) = gateway.get("/v1/dead-letters").json["data"]
            assert (letter["subscriber"], letter["type"]) == ("mail", "confirmation")
            assert "550 no such user" in letter["reason"]
            dropped = gateway.post(f"/v1/dead-letters/mail/{letter['event']}/actions/drop")
            assert dropped.status == 200, dropped
            assert gateway.get("/v1/dead-letters").json["data"] == []


def test_letters_wait_while_the_mail_server_is_unreachable(tmp_path: Path) -> None:
    port = free_port()
    smtp = SmtpServer.parse(f"smtp://127.0.0.1:{port}")
    with running_gateway(tmp_path, smtp=smtp, mail_from="stay@inn.example") as gateway:
        hotel = gateway.open_hotel()
        booking = gateway.book(hotel, 20, 2, guest=ANN)
        wait_until(lambda: "cannot be reached" in (subscriber(gateway, "mail")["stalled"] or ""), SECONDS_MAX)
        assert gateway.book(hotel, 20)["status"] == "confirmed"
        with smtp_server(port=port) as server:
            wait_until(lambda: len(server.letters) == 1, SECONDS_MAX)
            assert server.envelopes[0].mail_from == "stay@inn.example"
            assert server.envelopes[0].rcpt_tos == ["ann@example.com"]
            assert booking["locator"] in server.letters[0].as_string()
            wait_until(lambda: subscriber(gateway, "mail")["stalled"] is None, SECONDS_MAX)
    assert not (tmp_path / "mail").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--smtp", "http://mail.example", "--mail-from", "stay@inn.example"], "must begin with smtp:// or smtps://"),
        (["--smtp", "smtp://ann@mail.example", "--mail-from", "stay@inn.example"], "both a user and a password"),
        (["--smtp", "smtp://mail.example"], "the sender's address is missing"),
        (["--mail-from", "nobody"], "'nobody' is not an e-mail address"),
    ],
)
def test_invalid_mail_options_are_refused_at_startup(tmp_path: Path, options: list[str], reason: str) -> None:
    done = run_to_end("--empty", "--port", "0", "--data", tmp_path / "data", *options)
    assert (done.returncode, reason in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "data").exists()
