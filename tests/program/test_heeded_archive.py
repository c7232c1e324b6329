"""What the archive knows is heeded after a restore of an older backup, and where a lost journal is accepted: guests who
were forgotten are forgotten again, and no number of a document is given twice."""

import json
import shutil
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from innkeeper.protocol.values.operator_error import EXIT_USAGE
from support.gateway import SELLER, hotel_request, send
from support.server_process import ServerProcess, run_to_end
from support.waiting import wait_until

HOTEL = "/v1/hotels/inn"
TEXTS = b"zebedee", b"+351 987"
SECONDS_MAX = 30


class Desk:
    """A front desk of a running server."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request that succeeds; what it answers."""
        answer = send(urlsplit(self.server.url).port or 0, method, path, body)
        assert answer.status in (200, 201, 202), (method, path, answer)
        return answer.json

    def book(self, day: int, guest: Any) -> Any:
        """Book a night; the booking."""
        today = date.fromisoformat(self.send("GET", HOTEL)["business_date"])
        dates = {"arrival": str(today + timedelta(days=day)), "departure": str(today + timedelta(days=day + 1))}
        return self.send("POST", f"{HOTEL}/bookings", {"room_type": "DBL", "guest": guest, **dates})

    def forget(self, guest: str) -> None:
        """Cancel what the guest has booked, forget the guest, and wait until all have."""
        for booking in self.send("GET", f"{HOTEL}/guests/{guest}")["bookings"]:
            self.send("POST", f"{HOTEL}/bookings/{booking['id']}/actions/cancel", {})
        self.send("DELETE", f"{HOTEL}/guests/{guest}")
        self.wait_until_erased(guest)

    def wait_until_erased(self, guest: str) -> None:
        """Wait until all parts have forgotten the guest."""
        path = f"{HOTEL}/guests/{guest}"
        wait_until(lambda: (self.send("GET", path)["erasure"] or {}).get("done"), SECONDS_MAX)

    def invoice(self, booking: Any) -> str:
        """Charge a breakfast, and invoice it; the number of the invoice."""
        path = f"{HOTEL}/bookings/{booking['id']}"
        port = urlsplit(self.server.url).port or 0
        wait_until(lambda: send(port, "GET", f"{path}/folio", None).status == 200, SECONDS_MAX)  # billing follows
        self.send("PUT", f"{HOTEL}/billing", {"seller": SELLER})
        charge = {"charge": "breakfast", "text": "Breakfast", "amount": {"amount": "12.00", "currency": "EUR"}}
        self.send("POST", f"{path}/folio/charges", charge)
        number: str = self.send("POST", f"{path}/invoices", {})["number"]
        return number

    def credit(self, invoice: str) -> str:
        """Cancel an invoice; the number of the credit note."""
        number: str = self.send("POST", f"{HOTEL}/invoices/{invoice}/actions/credit", {"reason": "wrong"})["number"]
        return number


def used(data: Path, copy: Path) -> tuple[str, list[Any]]:
    """A data directory in which a guest with two bookings was forgotten, and a backup of before; the guest's id and the
    bookings."""
    with closing(ServerProcess(data)) as server:
        desk = Desk(server)
        desk.send("POST", "/v1/hotels", hotel_request({"DBL": 5}, id="inn"))
        guest = {"name": "Zebedee", "email": "zebedee@example.com", "phone": "+351 987"}
        first = desk.book(3, guest)
        bookings = [first, desk.book(5, {"id": first["guest"]["id"]}), desk.book(7, {"name": "Ann"})]
        assert run_to_end("backup", copy, "--data", data).returncode == 0
        desk.forget(first["guest"]["id"])
        assert server.stop()[0] == 0
    return first["guest"]["id"], bookings


def assert_forgotten(data: Path, guest: str, bookings: list[Any]) -> None:
    """The guest is forgotten in everything, the stays are there, and the other guest is known."""
    with closing(ServerProcess(data)) as server:
        desk = Desk(server)
        desk.wait_until_erased(guest)
        shown = [desk.send("GET", f"{HOTEL}/bookings/{booking['id']}") for booking in bookings]
        assert [(one["status"], one["guest"]["name"]) for one in shown] == [
            ("confirmed", None), ("confirmed", None), ("confirmed", "Ann"),
        ]  # fmt: skip
        desk.send("POST", f"{HOTEL}/bookings/{bookings[0]['id']}/actions/cancel", {})
        desk.book(3, {"name": "Bea"})
        assert server.stop()[0] == 0
    files = [file for file in data.glob("*") if file.is_file()]
    assert [f"{file.name}: {text!r}" for file in files for text in TEXTS if text in file.read_bytes().lower()] == []
    report = json.loads(run_to_end("verify", "--data", data).stdout)
    assert (report["guests_forgotten"], report["violations"]) == (1, [])


def test_a_restored_backup_forgets_again_whom_the_archive_names(tmp_path: Path) -> None:
    data, copy, restored = tmp_path / "data", tmp_path / "monday", tmp_path / "restored"
    guest, bookings = used(data, copy)
    refused = run_to_end("restore", copy, "--data", restored, "--archive", tmp_path / "nowhere")
    assert (refused.returncode, restored.exists()) == (EXIT_USAGE, False), refused.stderr
    assert "is no archive" in refused.stderr
    done = run_to_end("restore", copy, "--data", restored, "--archive", data / "archive")
    assert json.loads(done.stdout)["guests_forgotten"] == 1, done.stderr
    assert_forgotten(restored, guest, bookings)


def test_a_rolled_back_journal_forgets_again_whom_the_archive_names(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "monday"
    guest, bookings = used(data, copy)
    for name in ("partition-0.db", "billing-0.db"):
        shutil.copy(copy / name, data / name)
    done = run_to_end("accept-rollback", "--data", data)
    assert json.loads(done.stdout)["guests_forgotten"] == 1, done.stderr
    assert_forgotten(data, guest, bookings)


def test_numbers_of_documents_go_on_above_those_that_the_archive_knows(tmp_path: Path) -> None:
    data, copy, restored = tmp_path / "data", tmp_path / "monday", tmp_path / "restored"
    with closing(ServerProcess(data)) as server:
        desk = Desk(server)
        desk.send("POST", "/v1/hotels", hotel_request({"DBL": 5}, id="inn"))
        booking = desk.book(3, {"name": "Ann"})
        assert (desk.invoice(booking), run_to_end("backup", copy, "--data", data).returncode) == ("INV-1", 0)
        assert (desk.invoice(booking), desk.credit("INV-2"), desk.invoice(booking)) == ("INV-2", "CN-1", "INV-3")
        wait_until(lambda: [*(data / "archive/invoices/inn/0/INV-3").glob("*.json")], SECONDS_MAX)
        assert server.stop()[0] == 0
    done = run_to_end("restore", copy, "--data", restored, "--archive", data / "archive")
    assert done.returncode == 0, done.stderr
    with closing(ServerProcess(restored)) as server:
        desk = Desk(server)
        assert (desk.invoice(booking), desk.credit("INV-4")) == ("INV-4", "CN-2")
        server.kill()
        server.start_again()
        assert desk.invoice(booking) == "INV-5"
        assert server.stop()[0] == 0
    with closing(ServerProcess(restored)) as server:  # from snapshots
        assert Desk(server).invoice(booking) == "INV-6"
        assert server.stop()[0] == 0
    assert json.loads(run_to_end("verify", "--data", restored).stdout)["violations"] == []
