"""Guests hear of their bookings: over HTTP something is done, and a letter lies in the folder or at a mail server."""

from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from innkeeper.delivery.email.smtp import SmtpServer
from support.gateway import Gateway, assert_problem, booking_path, gateway
from support.server_process import run_to_end
from support.smtp_server import free_port, smtp_server
from support.waiting import wait_until

SECONDS_MAX = 60
ANN = {"name": "Ann Reid", "email": "ann@example.com"}


class Post:
    """A front desk, and what it writes."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def letters(self, kind: str = "") -> list[EmailMessage]:
        """All letters of a kind, oldest day first."""
        found = []
        for path in sorted(self.data.glob(f"mail/*-{kind or '[a-z]*'}-*.eml")):
            letter = message_from_bytes(path.read_bytes(), policy=default)
            assert isinstance(letter, EmailMessage)
            found.append(letter)
        return found

    def letter(self, kind: str) -> EmailMessage:
        """The only one of a kind, when it is there."""
        wait_until(lambda: len(self.letters(kind)) == 1, SECONDS_MAX)
        return self.letters(kind)[0]


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Gateway]:
    """A front desk of its own."""
    with gateway(tmp_path) as opened:
        yield opened


@pytest.fixture
def post(tmp_path: Path) -> Post:
    """What it writes."""
    return Post(tmp_path)


def text(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return " ".join(body.get_content().split())


def subscriber(front: Gateway, name: str) -> Any:
    return next(one for one in front.get("/v1/subscribers").json["data"] if one["name"] == name)


def test_a_guest_is_told_what_happens_to_the_booking(front: Gateway, post: Post) -> None:
    hotel = front.open_hotel()
    booking = front.book(hotel, 20, 2, guest=ANN)
    confirmed = post.letter("confirmation")
    assert confirmed["to"] == "Ann Reid <ann@example.com>"
    assert confirmed["from"] == "Seaside <reservations@localhost>"
    assert booking["locator"] in confirmed["subject"] + text(confirmed)
    front.send("PATCH", booking_path(hotel, booking), {"adults": 2})
    assert "2 adults" in text(post.letter("change"))
    front.act(hotel, booking, "cancel")
    assert "free of charge" in text(post.letter("cancellation"))
    assert len(post.letters()) == 3


def test_a_guest_who_pays_gets_a_receipt(front: Gateway, post: Post) -> None:
    hotel = front.open_hotel()
    booking = front.book(hotel, 20, 2, guest=ANN)
    paid = {"method": "cash", "amount": {"amount": "50.00", "currency": "EUR"}}
    assert front.post(f"{booking_path(hotel, booking)}/folio/payments", paid).status == 201
    assert "Amount paid: €50.00" in text(post.letter("receipt"))


def test_a_reminder_goes_out_when_its_time_has_come(front: Gateway, post: Post) -> None:
    hotel = front.open_hotel()
    front.book(hotel, 5, 2, guest=ANN)
    post.letter("confirmation")
    front.advance_clock(2 * 24 * 3_600)
    front.book(hotel, 20)  # whoever is busy looks at the clock
    assert "June 6" in text(post.letter("reminder"))


def test_a_hotel_writes_in_its_language_and_reminds_when_it_likes(front: Gateway, post: Post) -> None:
    hotel = front.open_hotel()
    assert front.get(f"{hotel}/notifications").json == {
        "language": "en", "reminder_days": 3, "reminder_at": "10:00",
    }  # fmt: skip
    terms = {"language": "pt-BR", "reminder_days": 1, "reminder_at": "18:30"}
    assert front.send("PUT", f"{hotel}/notifications", terms).json == terms
    assert front.get(f"{hotel}/notifications").json == terms
    front.restart()
    assert front.get(f"{hotel}/notifications").json == terms
    front.book(hotel, 2, 2, guest=ANN)
    assert post.letter("confirmation")["content-language"] == "pt"
    front.advance_clock(24 * 3_600 + 5.5 * 3_600)
    front.book(hotel, 20)
    assert not post.letters("reminder")
    front.advance_clock(2 * 3_600)
    front.book(hotel, 20)
    post.letter("reminder")


@pytest.mark.parametrize(
    ("terms", "field", "rule"),
    [
        ({"language": "english!"}, "language", "form"),
        ({"language": ""}, "language", "form"),
        ({"reminder_days": -1}, "reminder_days", "range"),
        ({"reminder_days": 366}, "reminder_days", "range"),
        ({"reminder_days": "3"}, "reminder_days", "type"),
        ({"reminder_at": "24:00"}, "reminder_at", "form"),
        ({"colour": "red"}, "colour", "unknown"),
    ],
)
def test_terms_that_make_no_sense_are_refused(
    front: Gateway, terms: dict[str, Any], field: str, rule: str
) -> None:  # fmt: skip
    hotel = front.open_hotel()
    assert_problem(front.send("PUT", f"{hotel}/notifications", terms), 422, "invalid", field, rule)
    assert front.get(f"{hotel}/notifications").json["language"] == "en"


def test_a_hotel_that_is_not_there_has_no_terms(front: Gateway) -> None:
    assert_problem(front.get("/v1/hotels/none/notifications"), 404, "not_found")
    assert_problem(front.send("PUT", "/v1/hotels/none/notifications", {}), 404, "not_found")


def test_terms_are_not_told_while_notifications_is_paused_behind(front: Gateway) -> None:
    front.post("/v1/subscribers/notifications/actions/pause")
    hotel = front.open_hotel()
    assert_problem(front.get(f"{hotel}/notifications"), 503, "unavailable")
    front.post("/v1/subscribers/notifications/actions/resume")
    assert front.get(f"{hotel}/notifications").status == 200


def test_letters_wait_while_the_mailroom_is_paused_and_go_out_once(front: Gateway, post: Post) -> None:
    hotel = front.open_hotel()
    front.post("/v1/subscribers/mail/actions/pause")
    front.book(hotel, 20, 2, guest=ANN)
    wait_until(lambda: subscriber(front, "mail")["lag"] == 1, SECONDS_MAX)
    front.restart()
    assert (subscriber(front, "mail")["paused"], post.letters()) == (True, [])
    front.post("/v1/subscribers/mail/actions/resume")
    post.letter("confirmation")


def test_a_guest_with_an_impossible_address_is_shown_to_a_person(front: Gateway) -> None:
    hotel = front.open_hotel()
    front.book(hotel, 20, 2, guest={"name": "Ann", "email": '"x y"@[127.0.0.1]'.replace(" ", "_")})
    wait_until(lambda: bool(front.get("/v1/dead-letters").json["data"]), SECONDS_MAX)
    (letter,) = front.get("/v1/dead-letters").json["data"]
    assert (letter["subscriber"], letter["type"]) == ("mail", "confirmation")
    assert "is not an e-mail address" in letter["reason"]
    dropped = front.post(f"/v1/dead-letters/mail/{letter['event']}/actions/drop")
    assert dropped.status == 200, dropped
    assert front.get("/v1/dead-letters").json["data"] == []


def test_a_mail_server_takes_the_letters_also_those_from_while_it_was_away(tmp_path: Path) -> None:
    port = free_port()
    smtp = SmtpServer.parse(f"smtp://127.0.0.1:{port}")
    with gateway(tmp_path, smtp=smtp, mail_from="stay@inn.example") as front:
        hotel = front.open_hotel()
        booking = front.book(hotel, 20, 2, guest=ANN)
        wait_until(lambda: "cannot be reached" in (subscriber(front, "mail")["stalled"] or ""), SECONDS_MAX)
        assert front.book(hotel, 20)["status"] == "confirmed"
        with smtp_server(port=port) as office:
            wait_until(lambda: len(office.letters) == 1, SECONDS_MAX)
            assert office.envelopes[0].mail_from == "stay@inn.example"
            assert office.envelopes[0].rcpt_tos == ["ann@example.com"]
            assert booking["locator"] in office.letters[0].as_string()
            wait_until(lambda: subscriber(front, "mail")["stalled"] is None, SECONDS_MAX)
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
def test_a_way_out_that_cannot_work_is_refused_at_the_start(tmp_path: Path, options: list[str], reason: str) -> None:
    done = run_to_end("--empty", "--port", "0", "--data", tmp_path / "data", *options)
    assert (done.returncode, reason in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "data").exists()
