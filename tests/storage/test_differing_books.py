"""What reservations and billing know of each other's bookings, where one of their journals was replaced."""

import json
import shutil
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

from innkeeper.protocol.billing.events import FolioEvent
from innkeeper.storage.audit.billing import BillingAuditor
from innkeeper.storage.audit.books import differences
from innkeeper.storage.audit.reservations import ReservationsAuditor
from support.billing_fixture import LedgerFixture
from support.gateway import hotel_request, stay_request
from support.server_process import ServerProcess, run_to_end
from support.waiting import wait_until

SECONDS_MAX = 30


def test_a_booking_that_billing_has_passed_by_is_reported() -> None:
    ledger = LedgerFixture()
    passed_by, _ = ledger.book(1), ledger.book(2)
    reservations, billing = ReservationsAuditor(), BillingAuditor()
    reservations.handle(ledger.hotel_records)
    billing.handle(
        record
        for record in ledger.records
        if not (isinstance(record.event, FolioEvent) and record.event.booking == passed_by)
    )
    assert [*differences(reservations.hotels, billing.hotels)] == [f"seaside: booking {passed_by} has no folio (P13)"]


def post(server: ServerProcess, path: str, body: object) -> str:
    """POST; the id of what was made."""
    request = Request(server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=SECONDS_MAX) as response:
        made: str = json.load(response)["id"]
        return made


def book(server: ServerProcess) -> str:
    """Book, and wait for the folio."""
    booking = post(server, "/v1/hotels/inn/bookings", stay_request())
    wait_until(lambda: _has_folio(f"{server.url}/v1/hotels/inn/bookings/{booking}/folio"), SECONDS_MAX)
    return booking


def _has_folio(url: str) -> bool:
    try:
        with urlopen(url, timeout=SECONDS_MAX):
            return True
    except OSError:
        return False


def test_verify_names_the_folios_of_bookings_that_a_rolled_back_journal_has_lost(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with closing(ServerProcess(data)) as server:
        post(server, "/v1/hotels", hotel_request(id="inn"))
        book(server)
        assert server.stop()[0] == 0
        shutil.copy(data / "partition-0.db", tmp_path / "older.db")
        assert run_to_end("verify", "--data", data).returncode == 0
        server.start_again()
        lost = book(server)
        assert server.stop()[0] == 0
    shutil.copy(tmp_path / "older.db", data / "partition-0.db")
    verified = run_to_end("verify", "--data", data)
    assert verified.returncode == 1
    violations = json.loads(verified.stdout)["violations"]
    assert f"inn: there is a folio of {lost}, but no such booking (P13)" in violations
    assert any("reservations end at event" in violation for violation in violations)


def test_a_booking_that_billing_has_not_reached_yet_is_no_violation() -> None:
    ledger = LedgerFixture()
    ledger.book(1)
    reservations, billing = ReservationsAuditor(), BillingAuditor()
    reservations.handle(ledger.hotel_records)
    billing.handle(ledger.records[:1])
    assert [*differences(reservations.hotels, billing.hotels)] == []
