"""Letters of the real server to a real mail server that defers or refuses some of them."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from support.gateway import hotel_request, stay_request
from support.server_process import ServerProcess
from support.smtp_server import RecordingSmtpServer, smtp_server
from support.waiting import wait_until

SECONDS_MAX = 120
HOTEL = "/v1/hotels/seaside"
DESK = "desk@seaside.example.com"
NO_SUCH_USER = "550 5.1.1 <ann@example.com>: no such user Ann Reid"


class Server:
    """A server with a hotel."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; the answer to it, which must not be a refusal."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.process.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=SECONDS_MAX) as response:
                return json.loads(response.read())
        except HTTPError as error:
            with error:
                raise AssertionError(error.read()) from None

    def book(self, email: str, number: int = 0) -> str:
        """Book for a guest with this address; the path of the booking."""
        guest = {"name": "Ann Reid", "email": email}
        return f"{HOTEL}/bookings/" + self.ask("POST", f"{HOTEL}/bookings", stay_request(number, guest=guest))["id"]

    def letters(self, booking: str) -> Any:
        """The letters of a booking that are not sent."""
        return self.ask("GET", f"{booking}/letters")

    def reply(self, booking: str) -> str | None:
        """By which reply the guest's address was refused."""
        refused = self.letters(booking)["address_refused"]
        return refused and refused["reply"]

    def statuses(self, booking: str) -> list[tuple[str, str, int]]:
        """The kind, the status and the attempts of each letter that is not sent."""
        return [(one["kind"], one["status"], one["attempts"]) for one in self.letters(booking)["data"]]


@contextmanager
def server_and_mail(data: Path) -> Iterator[tuple[Server, RecordingSmtpServer]]:
    with smtp_server() as mail:
        options = ("--smtp", f"smtp://127.0.0.1:{mail.port}", "--mail-from", "stay@inn.example")
        with closing(ServerProcess(data, options=options)) as process:
            server = Server(process)
            server.ask("POST", "/v1/hotels", {**hotel_request({"DBL": 20}), "id": "seaside"})
            yield server, mail


def to(mail: RecordingSmtpServer, address: str) -> list[str]:
    """The subjects of the letters that have arrived at this address."""
    return [str(one["subject"]) for one in mail.letters if address in str(one["to"])]


def test_an_address_that_refuses_letters_is_marked_and_the_hotel_is_told(tmp_path: Path) -> None:
    with server_and_mail(tmp_path / "data") as (server, mail):
        server.ask("PUT", f"{HOTEL}/notifications", {"email": DESK, "change_delay_seconds": 0})
        mail.replies_to["ann@example.com"] = [NO_SUCH_USER] * 9
        mail.text_replies_to["eve@example.com"] = ["552 5.2.2 mailbox full"]
        ann, eve, bo = (server.book(f"{name}@example.com", place) for place, name in enumerate(("ann", "eve", "bo")))
        wait_until(lambda: [server.reply(one) for one in (ann, eve)] == ["550 5.1.1", "552 5.2.2"], SECONDS_MAX)
        wait_until(lambda: (len(to(mail, DESK)), len(to(mail, "bo@example.com"))) == (2, 1), SECONDS_MAX)
        assert server.reply(bo) is None
        assert server.statuses(ann)[0] == ("confirmation", "not_sent", 1)
        told = next(str(one.get_body(("plain",))) for one in mail.letters if DESK in str(one["to"]))
        assert ("5.1.1" in told or "5.2.2" in told, "no such user" in told) == (True, False)
        events = server.ask("GET", "/v1/events?hotel=seaside&limit=200")["data"]
        (refused, _) = [one for one in events if one["type"] == "innkeeper.guest.address_refused.v1"]
        assert refused["data"]["letter"] == "confirmation"
        assert not {"ann@", "user"} & {word for word in ("ann@", "user") if word in json.dumps(refused)}

        tried = mail.recipients.count("ann@example.com")
        server.ask("PATCH", ann, {"adults": 2})
        wait_until(lambda: ("change", "not_sent", 0) in server.statuses(ann), SECONDS_MAX)
        assert mail.recipients.count("ann@example.com") == tried
        server.process.kill()
        server.process.start_again()
        assert (server.reply(ann), ("change", "not_sent", 0) in server.statuses(ann)) == ("550 5.1.1", True)

        server.ask("PATCH", ann, {"guest": {"email": "ann.reid@example.com"}})
        wait_until(lambda: len(to(mail, "ann.reid@example.com")) == 1, SECONDS_MAX)
        assert server.reply(ann) is None
        dead = next(one for one in server.ask("GET", "/v1/dead-letters")["data"] if "5.2.2" in one["reason"])
        server.ask("POST", f"/v1/dead-letters/mail/{dead['event']}/actions/redrive", {})
        wait_until(lambda: server.reply(eve) is None, SECONDS_MAX)
        assert (len(to(mail, "eve@example.com")), len(to(mail, DESK))) == (1, 2)
        code, said = server.process.stop()
        assert (code, "Traceback" in said, "ann@example.com" in said) == (0, False, False), said


def test_greylisting_defers_a_letter_and_no_other(tmp_path: Path) -> None:
    with server_and_mail(tmp_path / "data") as (server, mail):
        server.ask("PUT", f"{HOTEL}/notifications", {"change_delay_seconds": 0})
        mail.replies_to["ann@example.com"] = ["450 4.2.0 greylisted, try again later"]
        mail.text_replies_to["bo@example.com"] = ["451 4.7.1 try again later"]
        ann, bo, carl = (server.book(f"{name}@example.com", place) for place, name in enumerate(("ann", "bo", "carl")))
        wait_until(lambda: len(to(mail, "carl@example.com")) == 1, SECONDS_MAX)
        server.ask("PATCH", ann, {"adults": 2})
        wait_until(lambda: len(to(mail, "ann@example.com")) == 2, SECONDS_MAX)
        assert "confirm" in to(mail, "ann@example.com")[0].lower() or "booking" in to(mail, "ann@example.com")[0]
        wait_until(lambda: len(to(mail, "bo@example.com")) == 1, SECONDS_MAX)
        assert [mail.recipients.count(f"{name}@example.com") for name in ("ann", "bo", "carl")] == [3, 2, 1]
        assert [server.reply(one) for one in (ann, bo, carl)] == [None, None, None]
        assert len({str(one["message-id"]) for one in mail.letters}) == len(mail.letters) == 4


def test_a_waiting_letter_is_sent_once_after_a_kill(tmp_path: Path) -> None:
    with server_and_mail(tmp_path / "data") as (server, mail):
        server.ask("PUT", f"{HOTEL}/notifications", {"change_delay_seconds": 8})
        booking = server.book("ann@example.com", 5)
        wait_until(lambda: len(to(mail, "ann@example.com")) == 1, SECONDS_MAX)
        server.ask("PATCH", booking, {"adults": 2})
        server.process.kill()
        server.process.start_again()
        server.ask("PATCH", booking, {"departure": server.ask("GET", booking)["departure"]})
        wait_until(lambda: len(to(mail, "ann@example.com")) == 2, SECONDS_MAX)
        assert "changed" in to(mail, "ann@example.com")[1]
        assert "2 adults" in str(mail.letters[1].get_body(("plain",)))


def test_a_cancellation_after_a_kill_replaces_the_waiting_letter(tmp_path: Path) -> None:
    with server_and_mail(tmp_path / "data") as (server, mail):
        server.ask("PUT", f"{HOTEL}/notifications", {"change_delay_seconds": 3_600})
        booking = server.book("ann@example.com", 5)
        wait_until(lambda: len(to(mail, "ann@example.com")) == 1, SECONDS_MAX)
        server.ask("PATCH", booking, {"adults": 2})
        assert [kind for kind, *_ in server.statuses(booking) if kind == "change"] == ["change"]
        server.process.kill()
        server.process.start_again()
        assert [kind for kind, *_ in server.statuses(booking) if kind == "change"] == ["change"]
        server.ask("POST", f"{booking}/actions/cancel", {})
        wait_until(lambda: len(to(mail, "ann@example.com")) == 2, SECONDS_MAX)
        assert "cancelled" in to(mail, "ann@example.com")[1]
        assert server.statuses(booking) == []
