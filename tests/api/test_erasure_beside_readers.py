"""A process that reads a database, as a backup does, keeps old pages in its write-ahead log: a guest is shown as
forgotten only when these are gone, and nothing else waits for that."""

import logging
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from support.database_readers import reader
from support.gateway import IN_MEMORY, Gateway
from support.gateway import gateway as running_gateway
from support.mail_folder import MailFolder
from support.waiting import wait_until

pytestmark = pytest.mark.skipif(IN_MEMORY, reason="nothing is in files")

NAME = b"quuxington"
GUEST = {"name": "Zebedee Quuxington", "email": "zebedee@quuxington.example"}
PARTS = {
    "reservations": "partition-0.db", "lists": "views-0.db", "billing": "billing-0.db",
    "notifications": "notifications.db",
}  # fmt: skip
SECONDS_MAX = 30
AT_REST_SECONDS = 2
RETRIES_SECONDS = 3


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def gateway(data: Path) -> Iterator[Gateway]:
    with running_gateway(data) as opened:
        yield opened


def log_of(file: Path) -> Path:
    """The write-ahead log of a database."""
    return file.with_name(f"{file.name}-wal")


def remains(data: Path) -> set[str]:
    """The databases that have something of the guest, in the file itself or in its write-ahead log."""
    files = [file for file in data.iterdir() if file.name.removesuffix("-wal").endswith(".db")]
    return {file.name.removesuffix("-wal") for file in files if NAME in file.read_bytes().lower()}


def cancelled_booking(gateway: Gateway, hotel: str, data: Path) -> str:
    """The path of a guest whose only booking is cancelled, once all databases know the guest."""
    booking = gateway.book(hotel, 4, guest=GUEST)
    wait_until(lambda: remains(data) == {*PARTS.values()}, SECONDS_MAX)
    gateway.act(hotel, booking, "cancel")
    return f"{hotel}/guests/{booking['guest']['id']}"


def unfinished(gateway: Gateway, path: str) -> set[str]:
    """The parts of the system whose steps of the erasure are not done."""
    erasure: dict[str, Any] = gateway.get(path).json["erasure"]
    left = {step["part"] for step in erasure["steps"] if not step["done"]}
    assert erasure["done"] is not bool(left)
    return left


@pytest.mark.parametrize("part", PARTS)
def test_a_step_is_done_when_no_reader_keeps_the_guest_in_the_file(
    gateway: Gateway, data: Path, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = PARTS[part]
    hotel = gateway.open_hotel({"DBL": 3})
    path = cancelled_booking(gateway, hotel, data)
    with reader(data / file), caplog.at_level(logging.WARNING):
        assert gateway.send("DELETE", path).status == 202
        wait_until(lambda: unfinished(gateway, path) == {part}, SECONDS_MAX)
        assert remains(data) == {file}
        mail = MailFolder(data)
        sent = len(mail.letters())
        gateway.book(hotel, 5, guest={"name": "Ann Other", "email": "ann@example.com"})
        wait_until(lambda: len(mail.letters()) > sent, SECONDS_MAX)
        assert gateway.list_all(f"{hotel}/bookings", q="ann")
        sleep(AT_REST_SECONDS)
        size = log_of(data / file).stat().st_size
        sleep(RETRIES_SECONDS)
        assert log_of(data / file).stat().st_size == size  # the file is not rewritten again and again
        assert unfinished(gateway, path) == {part}
    wait_until(lambda: unfinished(gateway, path) == set(), SECONDS_MAX)
    assert remains(data) == set()
    said = [record for record in caplog.records if "forgotten guests" in record.getMessage()]
    assert any(file in record.getMessage() for record in said)


def test_what_a_reader_keeps_is_removed_without_a_new_event_or_request(gateway: Gateway, data: Path) -> None:
    path = cancelled_booking(gateway, gateway.open_hotel({"DBL": 3}), data)
    with reader(data / "partition-0.db"), reader(data / "billing-0.db"), reader(data / "notifications.db"):
        assert gateway.send("DELETE", path).status == 202
        wait_until(lambda: unfinished(gateway, path) == {*PARTS} - {"lists"}, SECONDS_MAX)
    wait_until(lambda: remains(data) == set(), SECONDS_MAX)


def test_what_a_reader_kept_until_the_stop_is_removed_after_the_next_start(gateway: Gateway, data: Path) -> None:
    path = cancelled_booking(gateway, gateway.open_hotel({"DBL": 3}), data)
    with reader(data / "notifications.db"), reader(data / "views-0.db"):
        assert gateway.send("DELETE", path).status == 202
        wait_until(lambda: unfinished(gateway, path) == {"lists", "notifications"}, SECONDS_MAX)
        gateway.restart()
        assert unfinished(gateway, path) >= {"lists", "notifications"}
        assert remains(data) == {"notifications.db", "views-0.db"}
    wait_until(lambda: unfinished(gateway, path) == set(), SECONDS_MAX)
    assert remains(data) == set()
