"""Guests over HTTP: known ones book again, their contact data is changed in one place, and they can be forgotten."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Gateway, assert_problem, booking_path, stay_request
from support.gateway import gateway as running_gateway
from support.paths import ROOT
from support.waiting import wait_until
from support.webhook_receiver import webhook_receiver

# A search index has lower case; shorter texts come by chance in hashes and Base64.
TEXTS = b"zebedee", b"quuxington", b"+351 987", b"quince lane", b"allergic to feathers"
ZEBEDEE = {
    "name": "Zebedee Quuxington", "email": "zebedee@example.com", "phone": "+351 987",
    "address": ["7 Quince Lane", "Faro"],
}  # fmt: skip
SECONDS_MAX = 30


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def gateway(data: Path) -> Iterator[Gateway]:
    with running_gateway(data) as opened:
        yield opened


def path_of(hotel: str, booking: dict[str, Any]) -> str:
    return f"{hotel}/guests/{booking['guest']['id']}"


def erased(gateway: Gateway, path: str) -> dict[str, Any]:
    """The erasure of this guest, once it is done."""

    def erasure() -> dict[str, Any]:
        found: dict[str, Any] = gateway.get(path).json["erasure"]
        return found

    wait_until(lambda: bool(erasure()["done"]), SECONDS_MAX)
    return erasure()


def test_a_known_guest_books_again_by_id(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    first = gateway.book(hotel, 1, guest=ZEBEDEE, notes="late")
    path = path_of(hotel, first)
    again = gateway.book(hotel, 5, guest={"id": first["guest"]["id"]}, notes="early")
    assert (
        again["guest"]
        == first["guest"]
        == {"id": first["guest"]["id"], "language": None, "forgotten": False, **ZEBEDEE}
    )
    assert (first["notes"], again["notes"]) == ("late", "early")
    known = gateway.get(path).json
    assert known["guest"] == first["guest"]
    assert [booking["locator"] for booking in known["bookings"]] == [again["locator"], first["locator"]]
    assert known["erasure"] is None
    waiting = gateway.book(hotel, 5, guest={"id": first["guest"]["id"]})
    entry = gateway.post(f"{hotel}/waitlist", stay_request(5, guest={"id": first["guest"]["id"]}))
    assert entry.json["guest"] == waiting["guest"]


@pytest.mark.parametrize(
    ("guest", "field", "rule"),
    [
        ({"id": "nobody"}, "guest.id", "known"),
        ({"id": "nobody", "name": "Ann"}, "guest.id", "alone"),
        ({"email": "ann@example.com"}, "guest.name", "required"),
        ({}, "guest.name", "required"),
    ],
)
def test_a_guest_is_a_name_or_the_id_of_a_known_one(gateway: Gateway, guest: Any, field: str, rule: str) -> None:
    hotel = gateway.open_hotel()
    refused = gateway.post(f"{hotel}/bookings", stay_request(guest=guest))
    assert_problem(refused, 422, "invalid", field, rule)


def test_a_guest_of_another_hotel_is_not_known(gateway: Gateway) -> None:
    booking, other = gateway.book(gateway.open_hotel(), guest=ZEBEDEE), gateway.open_hotel()
    refused = gateway.post(f"{other}/bookings", stay_request(guest={"id": booking["guest"]["id"]}))
    assert_problem(refused, 422, "invalid", "guest.id", "known")
    for method in ("GET", "DELETE"):
        assert_problem(gateway.send(method, path_of(other, booking)), 404, "not_found")


def test_contact_data_changes_at_all_stays_that_can_still_take_place(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 3, "SGL": 1})
    first = gateway.book(hotel, 1, guest=ZEBEDEE, notes="one")
    guest = {"id": first["guest"]["id"]}
    second, cancelled = gateway.book(hotel, 2, guest=guest, notes="two"), gateway.book(hotel, 3, guest=guest)
    released = gateway.book(hotel, 3, guest=guest, status="held")
    gateway.act(hotel, cancelled, "cancel")
    gateway.act(hotel, released, "release")
    taken = gateway.book(hotel, 4, room_type="SGL")
    entry = gateway.post(f"{hotel}/waitlist", stay_request(4, room_type="SGL", guest=guest, notes="quiet")).json
    gateway.send("PATCH", booking_path(hotel, first), {"guest": {"email": "new@example.com"}, "notes": "three"})
    assert gateway.act(hotel, cancelled, "reinstate").json["guest"]["email"] == "new@example.com"
    gateway.act(hotel, taken, "cancel")  # its room is offered to the entry
    stays = first, second, cancelled, entry, released
    changed = [gateway.get(booking_path(hotel, booking)).json for booking in stays]
    assert [booking["guest"]["email"] for booking in changed] == ["new@example.com"] * 4 + [ZEBEDEE["email"]]
    assert [booking["notes"] for booking in changed] == ["three", "two", "", "quiet", ""]
    assert changed[3]["status"] == "held"
    assert gateway.get(path_of(hotel, first)).json["guest"]["email"] == "new@example.com"
    assert gateway.book(hotel, 7, guest=guest)["guest"]["email"] == "new@example.com"


def test_a_guest_with_a_stay_that_is_not_over_is_not_forgotten(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    held = gateway.book(hotel, 1, guest=ZEBEDEE, status="held", hold_seconds=9_999)
    path = path_of(hotel, held)
    problem = assert_problem(gateway.send("DELETE", path), 409, "guest_has_stays")
    assert (problem["bookings"], problem["waitlist"]) == ([held["id"]], [])
    entry = gateway.post(f"{hotel}/waitlist", stay_request(1, guest={"id": held["guest"]["id"]})).json
    problem = assert_problem(gateway.send("DELETE", path), 409, "guest_has_stays")
    assert (problem["bookings"], problem["waitlist"]) == ([held["id"]], [entry["id"]])
    assert gateway.send("DELETE", f"{hotel}/waitlist/{entry['id']}").status == 200
    assert gateway.act(hotel, held, "release").status == 200
    assert gateway.send("DELETE", path).status == 202


def test_a_guest_who_owes_is_not_forgotten(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 1})
    booking = gateway.book(hotel, 0, guest=ZEBEDEE)
    gateway.act(hotel, booking, "check-in")
    gateway.act(hotel, booking, "check-out", reason_code="early")
    problem = assert_problem(gateway.send("DELETE", path_of(hotel, booking)), 409, "guest_owes")
    assert problem["bookings"] == [booking["id"]]
    folio = booking_path(hotel, booking) + "/folio"
    paid = gateway.post(f"{folio}/payments", {"method": "cash", "amount": {"amount": "100.00", "currency": "EUR"}})
    assert paid.status == 201
    assert gateway.send("DELETE", path_of(hotel, booking)).status == 202


def invoiced_stay(gateway: Gateway, hotel: str) -> dict[str, Any]:
    """A stay that is over, paid and invoiced; it was booked with a key."""
    made = gateway.post(
        f"{hotel}/bookings",
        stay_request(0, guest=ZEBEDEE, notes="allergic to feathers"),
        {"Idempotency-Key": "one"},
    )
    booking: dict[str, Any] = made.json
    gateway.act(hotel, booking, "check-in")
    gateway.act(hotel, booking, "check-out", reason_code="early")
    path = booking_path(hotel, booking)
    gateway.set_billing(hotel)
    gateway.post(f"{path}/folio/payments", {"method": "cash", "amount": {"amount": "100.00", "currency": "EUR"}})
    assert gateway.post(f"{path}/invoices", {"buyer": {"name": "Acme Ltd"}}).status == 201
    return booking


def test_a_forgotten_guest_is_erased_everywhere(gateway: Gateway, data: Path) -> None:
    hotel = gateway.open_hotel({"DBL": 3})
    booking = invoiced_stay(gateway, hotel)
    cancelled = gateway.book(hotel, 4, guest={"id": booking["guest"]["id"]})
    gateway.act(hotel, cancelled, "cancel")
    others = [gateway.book(hotel, number, guest={"name": f"Guest {number}"}) for number in (5, 6)]
    path = path_of(hotel, booking)
    assert len(gateway.list_all(f"{hotel}/bookings", q="zebedee")) == 2
    reply = gateway.send("DELETE", path, None, {"Idempotency-Key": "forget"})
    assert (reply.status, reply.headers["location"], reply.json["kept"]["documents"]) == (202, path, ["INV-1"])
    erasure = erased(gateway, path)
    assert {step["part"] for step in erasure["steps"]} >= {"reservations", "lists", "billing", "notifications"}

    def check(gateway: Gateway) -> None:
        nobody = {
            "id": booking["guest"]["id"], "name": None, "email": None, "phone": None, "address": [], "language": None,
            "forgotten": True,
        }  # fmt: skip
        assert gateway.get(path).json["guest"] == nobody
        for one in (booking, cancelled):
            shown = gateway.get(booking_path(hotel, one)).json
            assert (shown["guest"], shown["notes"]) == (nobody, "")
        assert gateway.list_all(f"{hotel}/bookings", q="zebedee") == []
        found = gateway.list_all(f"{hotel}/bookings", q=booking["locator"])
        assert [one["guest"] for one in found] == [nobody]
        assert len(gateway.list_all(f"{hotel}/bookings", q="guest")) == len(others)
        assert gateway.get(booking_path(hotel, booking) + "/folio").json["folios"][0]["buyer"] is None
        assert gateway.get(f"{hotel}/invoices/INV-1").json["buyer"]["name"] == "Acme Ltd"
        repeated = gateway.post(
            f"{hotel}/bookings", stay_request(0, guest=ZEBEDEE, notes="allergic to feathers"),
            {"Idempotency-Key": "one"},
        )  # fmt: skip
        assert_problem(repeated, 410, "guest_forgotten")
        assert repeated.headers["idempotent-replayed"] == "true"
        assert len(gateway.list_all(f"{hotel}/bookings")) == 4
        again = gateway.send("DELETE", path, None, {"Idempotency-Key": "forget"})
        assert (again.status, again.headers["idempotent-replayed"], again.json) == (202, "true", reply.json)
        assert gateway.send("DELETE", path).status == 202
        refused = gateway.post(f"{hotel}/bookings", stay_request(guest={"id": booking["guest"]["id"]}))
        assert_problem(refused, 422, "invalid", "guest.id", "forgotten")
        assert_problem(gateway.act(hotel, cancelled, "reinstate"), 409, "not_allowed")
        buyer = {"buyer": {"name": "Zebedee Quuxington", "address": ["7 Quince Lane"]}}
        refused = gateway.post(booking_path(hotel, booking) + "/folios", buyer)
        assert_problem(refused, 422, "invalid", "buyer", "forgotten")

    check(gateway)
    assert remains(data) == []
    gateway.restart()
    check(gateway)
    gateway.close()
    assert remains(data) == []


def remains(data: Path) -> list[str]:
    """The files with something of the guest in them. Letters that were sent have left the system."""
    files = [file for file in data.rglob("*") if file.is_file() and "mail" not in file.relative_to(data).parts]
    return [f"{file.name}: {text!r}" for file in files for text in TEXTS if text in file.read_bytes().lower()]


def test_no_file_keeps_what_was_erased_among_many_guests(gateway: Gateway, data: Path) -> None:
    """Pages have been split and moved since the details were written."""
    hotel = gateway.open_hotel({"DBL": 40})
    first = gateway.book(hotel, 1, guest=ZEBEDEE, notes="allergic to feathers")
    for number in range(200):
        gateway.post(
            f"{hotel}/bookings", stay_request(1 + number % 20, guest={"name": f"Guest {number}"}, notes="x" * 400),
            {"Idempotency-Key": f"key-{(number * 7919) % 1000}"},
        )  # fmt: skip
    assert len(gateway.list_all(f"{hotel}/bookings", q="zebedee")) == 1
    gateway.act(hotel, first, "cancel")
    assert gateway.send("DELETE", path_of(hotel, first)).status == 202
    erased(gateway, path_of(hotel, first))
    assert remains(data) == []


def test_the_commands_of_the_page_remove_a_guest_from_an_archive_with_details(data: Path) -> None:
    (commands,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/privacy.md").read_text(), re.DOTALL)
    with running_gateway(data, guest_details="archive") as gateway:
        hotel = gateway.open_hotel({"DBL": 2})
        booking = invoiced_stay(gateway, hotel)
        folio = {"buyer": {"name": "Quuxington Ltd", "address": ["7 Quince Lane"]}}
        assert gateway.post(f"{booking_path(hotel, booking)}/folios", folio).status == 201
        gateway.book(hotel, 4, guest={"name": "Guest 4"})
        archive = data / "archive"
        wait_until(lambda: all(has_text(archive / log, "Guest 4") for log in ("reservations", "billing")), SECONDS_MAX)
    assert remains(archive), "there are details to remove"
    (segment,) = (archive / "reservations").glob("[0-9]*.jsonl")
    subprocess.run(["gzip", segment], check=True)
    subprocess.run(["sh", "-ec", commands.replace("GUEST", booking["guest"]["id"])], cwd=data, check=True)
    assert remains(archive) == []
    assert has_text(archive / "billing", "Acme Ltd"), "a document keeps its buyer"
    assert all(has_text(archive / log, "Guest 4") for log in ("reservations", "billing")), "another guest stays"


def has_text(folder: Path, text: str) -> bool:
    """Whether a segment in this folder of the archive has the text."""
    return any(text in file.read_text() for file in folder.glob("[0-9]*.jsonl"))


@pytest.mark.parametrize("details", [False, True])
def test_a_webhook_gets_details_of_guests_only_where_it_is_set_up_to(gateway: Gateway, details: bool) -> None:
    hotel = gateway.open_hotel()
    with webhook_receiver() as receiver:
        body = {"url": receiver.url, "events": ["innkeeper.booking.confirmed.v1"], "guest_details": details}
        added = gateway.post("/v1/webhooks", body)
        assert added.json["guest_details"] is details
        gateway.book(hotel, guest=ZEBEDEE)
        wait_until(lambda: bool(receiver.received), SECONDS_MAX)
        assert (b"Zebedee" in receiver.received[0].body) is details


def test_events_over_http_have_no_details_of_guests(gateway: Gateway) -> None:
    hotel = gateway.open_hotel()
    booking = gateway.book(hotel, guest=ZEBEDEE)
    for reply in (gateway.get("/v1/events", limit=200), gateway.get(booking_path(hotel, booking) + "/history")):
        assert booking["guest"]["id"] in str(reply.json)
        assert "Zebedee" not in str(reply.json)


def test_the_step_of_a_receiver_is_not_done_while_the_hotel_waits_there(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 2})
    with webhook_receiver() as receiver:
        receiver.status = 404
        added = gateway.post("/v1/webhooks", {"url": receiver.url, "events": ["innkeeper.*"]}).json
        booking = gateway.book(hotel, 3, guest={"name": "Ann", "email": "ann@example.com"})
        gateway.act(hotel, booking, "cancel")
        path = f"{hotel}/guests/{booking['guest']['id']}"
        assert gateway.send("DELETE", path).status == 202
        part = f"webhook-{added['id']}"
        wait_until(lambda: _left(gateway, path) == {part}, SECONDS_MAX)
        receiver.status = 204
        wait_until(lambda: _left(gateway, path) == set(), SECONDS_MAX)
        assert "innkeeper.guest.forgotten.v1" in [one.event["type"] for one in receiver.received]


def _left(gateway: Gateway, path: str) -> set[str]:
    """The parts whose steps of an erasure are not done."""
    return {step["part"] for step in gateway.get(path).json["erasure"]["steps"] if not step["done"]}
