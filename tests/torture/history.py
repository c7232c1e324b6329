"""Makes the data directories that are damaged: those of a small chain of hotels with a busy history, by the real
program in its own process, with a mail server and a receiver of webhooks."""

from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
from innkeeper.storage.sqlite.stamps import MADE_FOLDER
from support.gateway import HttpResponse, hotel_request, send
from support.server_process import ServerProcess
from support.smtp_server import RecordingSmtpServer, smtp_server
from support.waiting import wait_until
from support.whole_installation import has_caught_up

SECONDS_MAX = 60
SEASIDE, HILLSIDE = "/v1/hotels/seaside", "/v1/hotels/hillside"
REFUSED_ADDRESS = "nobody@example.com"
_FILE = "history.json"
_DAYS_BEFORE = 3  # of the first business date of the hotel whose nights are closed by hand


class KeyedRequest(msgspec.Struct, frozen=True):
    """A request with an idempotency key (which is its number), and the response to it."""

    method: str
    path: str
    body: Any
    status: int
    answer: Any


class History(msgspec.Struct, frozen=True):
    """What was made in `folder`, which has four data directories: `earlier` (a copy from the middle of the history),
    `stopped` (after all of it), `killed` (the same, with its newest events in write-ahead logs only) and `other` (of
    another installation with an equal history). `now` is the instant after it, in microseconds since 1970 UTC;
    webhooks go to `receiver_port`."""

    folder: str
    now: int
    today: date
    receiver_port: int
    requests: list[KeyedRequest]

    def data(self, name: str) -> Path:
        """The data directory of this name."""
        return Path(self.folder) / name


def make_history(folder: Path, receiver_port: int, with_other: bool = True) -> History:
    """Make the history in this folder, which exists; takes about ten seconds, or six without the `other` one."""
    with smtp_server() as mail:
        if with_other:
            _make(folder / "work-other", mail, receiver_port, lambda _: None)
            copy_data(folder / "work-other", folder / "other")
        work = folder / "work"
        desk = _make(work, mail, receiver_port, lambda data: copy_data(data, folder / "earlier"))
        copy_data(work, folder / "stopped")
        requests = [*desk.requests]
        with closing(ServerProcess(work, options=_mail_options(mail))) as server:
            desk.url = server.url
            desk.add_last_events()
            server.kill()
        copy_data(work, folder / "killed")
    made = History(str(folder), round(time() * 1e6), desk.today, receiver_port, requests)
    (folder / _FILE).write_bytes(msgspec.json.encode(made))
    return made


def read_history(folder: Path) -> History:
    """Read a history that was made before in this folder."""
    return msgspec.json.decode((folder / _FILE).read_bytes(), type=History)


def copy_data(data: Path, to: Path) -> None:
    """Copy a data directory of a program that has ended, without what it has sent (the archive), locks, and indexes of
    write-ahead logs, which the next start makes again."""
    to.mkdir(mode=0o700)
    for name in files_of(data):
        if not name.endswith(("lock", "-shm")):
            (to / name).parent.mkdir(mode=0o700, exist_ok=True)
            (to / name).write_bytes((data / name).read_bytes())


def files_of(data: Path) -> list[str]:
    """The files of a data directory, by their paths in it, without those in the archive and other folders of what goes
    out."""
    folders = (data, data / MADE_FOLDER)
    return sorted(str(file.relative_to(data)) for folder in folders for file in folder.glob("*") if file.is_file())


def _mail_options(mail: RecordingSmtpServer) -> list[str]:
    return ["--smtp", f"smtp://127.0.0.1:{mail.port}", "--mail-from", "desk@example.com"]


def _make(data: Path, mail: RecordingSmtpServer, receiver_port: int, copy: Callable[[Path], None]) -> "FrontDesk":
    with closing(ServerProcess(data, options=_mail_options(mail))) as server:
        desk = FrontDesk(server.url, mail)
        desk.open_hotels(receiver_port)
        desk.make_bookings()
        desk.rest()
        assert server.stop()[0] == 0
        copy(data)
        server.start_again()
        desk.url = server.url
        desk.work()
        desk.rest()
        assert server.stop()[0] == 0
    return desk


class FrontDesk:
    """Sends the requests of the history, most of them with an idempotency key."""

    def __init__(self, url: str, mail: RecordingSmtpServer) -> None:
        self.url = url
        self.today = date.today()  # until a hotel has said it
        self.requests: list[KeyedRequest] = []
        self._mail = mail
        self._bookings: dict[str, str] = {}  # the path of each booking, by the guest's name

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request with a key, which succeeds; what it answers."""
        answer = self._send(method, path, body, {"Idempotency-Key": str(len(self.requests))})
        self.requests.append(KeyedRequest(method, path, body, answer.status, answer.json))
        return answer.json

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> HttpResponse:
        answer = send(urlsplit(self.url).port or 0, method, path, body, headers)
        assert answer.status in (200, 201), (method, path, answer)
        return answer

    def day(self, number: int) -> str:
        """The day so many days after today."""
        return str(self.today + timedelta(days=number))

    def book(self, hotel: str, name: str, arrival: int, nights: int, kind: str = "DBL", **more: Any) -> str:
        """Book; the path of the booking."""
        body = {
            "room_type": kind, "arrival": self.day(arrival), "departure": self.day(arrival + nights),
            "guest": {"name": name, "email": f"{name.split()[0].lower()}@example.com", "phone": "+351 289 100 100"},
            "source": "phone",
        }  # fmt: skip
        booked = self.send("POST", f"{hotel}/bookings", body | more)
        self._bookings[name] = f"{hotel}/bookings/{booked['id']}"
        return self._bookings[name]

    def act(self, booking: str, action: str, **fields: Any) -> None:
        """Act on a booking."""
        self.send("POST", f"{booking}/actions/{action}", fields)

    def rest(self) -> None:
        """Wait until all subscribers (except webhooks that are disabled) and the read models have caught up."""
        send(urlsplit(self.url).port or 0, "GET", f"{SEASIDE}/bookings")

        def is_at_rest() -> bool:
            found = send(urlsplit(self.url).port or 0, "GET", "/v1/subscribers").json["data"]
            return has_caught_up(self.url) and not any(one["lag"] for one in found if not one["paused"])

        wait_until(is_at_rest, SECONDS_MAX)

    def open_hotels(self, receiver_port: int) -> None:
        """Open two hotels, with webhooks and all terms."""
        rooms = {"DBL": 8, "STE": 1}
        opened = self.send("POST", "/v1/hotels", hotel_request(rooms, id="hillside", night_audit="03:00")
                           | {"name": "Hillside", "business_date": None})  # fmt: skip
        self.today = date.fromisoformat(opened["business_date"])
        taxes = [
            {"code": "VAT6", "name": "IVA 6 %", "applies_to": ["room"], "rate": "6", "included": True},
            {"code": "CITY", "name": "City tax", "applies_to": ["room"], "amount": euros("2.00"), "exempt_below": 16},
            {"code": "VAT23", "name": "IVA 23 %", "applies_to": ["minibar"], "rate": "23", "included": True},
        ]
        body = hotel_request(rooms, id="seaside", business_date=self.day(-_DAYS_BEFORE), taxes=taxes)
        self.send("POST", "/v1/hotels", body)
        terms = {
            "deposits": [{"percent": 30, "days_before_arrival": 14}],
            "cancellation": {"free_until_hours": 48},
        }
        self.send("PATCH", SEASIDE, terms)
        seller = {"name": "Seaside Lda", "address": ["Rua do Mar 1"], "tax_number": "500000000"}
        seller |= {"postal_code": "8000-001", "city": "Faro", "country": "PT"}
        self.rest()
        self.send("PUT", f"{SEASIDE}/billing", {"seller": seller, "invoice_prefix": "FT-", "credit_note_prefix": "NC-"})
        self.send("PUT", f"{SEASIDE}/notifications", {"language": "pt", "reminder_days": 2})
        for url, events in (
            (f"http://127.0.0.1:{receiver_port}/hook", "innkeeper.*"),
            ("http://127.0.0.1:9/", "innkeeper.booking.*"),
        ):
            added = self.send("POST", "/v1/webhooks", {"url": url, "events": [events]})
            self.send("POST", f"/v1/webhooks/{added['id']}/actions/rotate-secret", {})
        self.send("POST", f"/v1/webhooks/{added['id']}/actions/disable", {})

    def make_bookings(self) -> None:
        """Make bookings of all statuses."""
        for number in range(12):
            notes = "Ground floor if possible, and a cot in the room. " * (number % 3)
            self.book(HILLSIDE, f"Guest{number} Almeida", number // 2, 2 + number % 3, notes=notes)
        first = -_DAYS_BEFORE
        for guest, arrival, nights in (
            ("Ann Reid", 0, 4),
            ("Bea Sato", 0, 1),
            ("Carl Byrne", 1, 2),
            ("Dora Rossi", 4, 2),
        ):
            self.book(SEASIDE, guest, first + arrival, nights, adults=2 if guest == "Ann Reid" else 1)
        for guest in ("Emil Held", "Fay Confirmed", "Gil Released"):
            self.book(SEASIDE, guest, 9, 2, status="held", hold_seconds=60_000)
        self.book(SEASIDE, "Hugo Suite", 5, 2, "STE")
        for guest in ("Ina Waiting", "Jon Waiting", "Kim Waiting"):
            stay = {"room_type": "STE", "arrival": self.day(5), "departure": self.day(7)}
            email = f"{guest.split()[0].lower()}@example.com"
            joined = self.send("POST", f"{SEASIDE}/waitlist", stay | {"guest": {"name": guest, "email": email}})
        self.send("DELETE", f"{SEASIDE}/waitlist/{joined['id']}")
        self.book(SEASIDE, "Lea Cancelled", 20, 3)
        self.book(SEASIDE, "Mia Reinstated", 20, 3)
        self.book(SEASIDE, "Noa Pinned", 20, 3, reminder_on=self.day(1))
        self.rest()

    def work(self) -> None:
        """Check in, move, charge, pay, close nights, check out, invoice, cancel, and let a letter fail."""
        ann, carl = self._bookings["Ann Reid"], self._bookings["Carl Byrne"]
        self.act(ann, "check-in")
        minibar = {"charge": "minibar", "text": "Water", "amount": euros("3.00"), "quantity": 2}
        for _ in range(3):
            self.send("POST", f"{ann}/folio/charges", minibar)
        self.send("POST", f"{SEASIDE}/night-audit", {})
        self.act(ann, "move", room="105")
        lines = self.send("POST", f"{ann}/folio/charges", minibar)["folios"][0]["lines"]
        number = [line["id"] for line in lines if line["charge"] == "minibar"]
        self.send("POST", f"{ann}/folio/charges/{number[0]}/actions/reverse", {"reason": "not taken"})
        self.send("POST", f"{ann}/folio/charges/{number[1]}/actions/split", {"amount": euros("1.00")})
        buyer = {"name": "Reid Ltd", "address": ["7 Castle Wynd"], "tax_number": "GB999999973"}
        self.send("POST", f"{ann}/folios", {"buyer": buyer})
        self.send("POST", f"{ann}/folio/actions/transfer", {"lines": number[2:], "to_folio": 2})
        self.act(carl, "check-in")
        self.send("POST", f"{SEASIDE}/night-audit", {})
        self.send(
            "POST", f"{ann}/folio/payments", {"method": "cash", "amount": euros("100.00"), "allow_overpayment": True}
        )
        self.send("POST", f"{SEASIDE}/night-audit", {})
        self._pay(ann)
        self.act(carl, "check-out")
        invoice = self.send("POST", f"{ann}/invoices", {})
        self.send("POST", f"{ann}/invoices", {"folio": 2})
        self.send("POST", f"{SEASIDE}/invoices/{invoice['number']}/actions/credit", {"reason": "wrong buyer"})
        for guest, action in (
            ("Fay Confirmed", "confirm"), ("Gil Released", "release"), ("Emil Held", "extend"), ("Noa Pinned", "pin"),
            ("Hugo Suite", "cancel"), ("Lea Cancelled", "cancel"), ("Mia Reinstated", "cancel"),
        ):  # fmt: skip
            self.act(self._bookings[guest], action, **({"hold_seconds": 80_000} if action == "extend" else {}))
        self.act(self._bookings["Mia Reinstated"], "reinstate")
        changed = {"departure": self.day(24), "guest": {"email": "mia.lopes@example.com"}}
        self.send("PATCH", self._bookings["Mia Reinstated"], changed)
        self.rest()
        self._mail.recipient_replies[:] = ["550 no such user"]
        guest = {"name": "Otto Unreachable", "email": REFUSED_ADDRESS}
        self.book(HILLSIDE, "Otto Unreachable", 12, 1, guest=guest)

    def _pay(self, booking: str) -> None:
        """Pay through the simulated provider: one payment each that is captured, voided, refunded and declined."""
        for fields, action in (({}, "refund"), ({"capture": False}, "void"), ({"capture": False}, "capture")):
            paid = self._start_payment(booking, fields, "captured" if not fields else "authorised")
            self.send("POST", f"{SEASIDE}/payments/{paid}/actions/{action}", {})
            wait_for_provider(urlsplit(self.url).port or 0, f"{SEASIDE}/payments/{paid}")
        self._start_payment(booking, {"token": "decline"}, "failed")

    def _start_payment(self, booking: str, fields: dict[str, Any], status: str) -> str:
        body = {"method": "simulated", "amount": euros("40.00"), "token": "good", "allow_overpayment": True, **fields}
        paid: str = self.send("POST", f"{booking}/folio/payments", body)["id"]
        port = urlsplit(self.url).port or 0
        wait_until(lambda: send(port, "GET", f"{SEASIDE}/payments/{paid}").json["status"] == status, SECONDS_MAX)
        return paid

    def add_last_events(self) -> None:
        """Some more requests, just before the program is killed."""
        self.book(HILLSIDE, "Pia Last", 6, 1)
        self.book(SEASIDE, "Rui Last", 6, 1)
        self.act(self._bookings["Noa Pinned"], "unpin")
        self.rest()


def wait_for_provider(port: int, payment: str) -> None:
    """Wait until the provider has answered all operations of a payment."""
    wait_until(
        lambda: all(one["status"] != "pending" for one in send(port, "GET", payment).json["operations"]), SECONDS_MAX
    )


def euros(amount: str) -> dict[str, str]:
    """An amount."""
    return {"amount": amount, "currency": "EUR"}
