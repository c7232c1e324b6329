"""The live stream: whoever listens hears of every commit, in order, once, and goes on where it left off."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from innkeeper.protocol.values import limits
from support.gateway import Gateway, assert_problem, gateway, of_reservations, response_on


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Gateway]:
    """A front desk of its own."""
    with gateway(tmp_path) as opened:
        yield opened


class Listener:
    """One who listens, on a connection of its own."""

    def __init__(self, front: Gateway, query: str = "", last: object = None) -> None:
        self._bare = front.connect()
        resumed = "" if last is None else f"Last-Event-ID: {last}\r\n"
        self._bare.sendall(f"GET /v1/events/stream?{query} HTTP/1.1\r\nHost: localhost\r\n{resumed}\r\n".encode())
        self._lines = self._bare.makefile("rb")
        self.head = self._head()
        self.billed: list[dict[str, Any]] = []
        self.last = self.message()["id"]
        self.position = int(self.last.partition(".")[0])

    def _head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._lines.readline()
        return head

    def message(self) -> dict[str, str]:
        """The fields of the next message; a comment is the field without a name."""
        fields: dict[str, str] = {}
        while True:
            line = self._lines.readline()
            if not line:
                raise EOFError
            if re.fullmatch(rb"[0-9a-f]*\r\n", line):  # the frame of a chunk
                continue
            if line == b"\n":
                return fields
            name, _, value = line.decode().rstrip("\n").partition(": ")
            fields[name.rstrip(":")] = value

    def subscribe(self, count: int) -> list[dict[str, Any]]:
        """The next so many events of reservations; what billing did stands in `billed`."""
        heard: list[dict[str, Any]] = []
        while len(heard) < count:
            heard += of_reservations(self.hear_one())
        return heard

    def hear_one(self) -> list[dict[str, Any]]:
        """The event in the next message, if there is one."""
        message = self.message()
        if "data" not in message:
            return []
        event = json.loads(message["data"])
        billed = not of_reservations([event])
        if billed:
            self.billed.append(event)
        self.last = message["id"]
        assert int(self.last.split(".")[billed]) == event["position"]
        return [event]

    def close(self) -> None:
        """Go away without a word."""
        self._lines.close()
        self._bare.close()


def test_what_happens_is_heard_as_the_log_tells_it(front: Gateway) -> None:
    listener = Listener(front)
    assert b"Content-Type: text/event-stream" in listener.head
    assert b"X-Request-ID" in listener.head
    front.book(front.open())
    log = front.entries("/v1/events", limit=200)
    assert listener.subscribe(len(log)) == log
    listener.close()


def test_a_listener_hears_its_hotel_and_its_types_alone(front: Gateway) -> None:
    here, there = front.open(id="here"), front.open(id="there")
    listener = Listener(front, "hotel=here&type=innkeeper.booking.confirmed.*,innkeeper.booking.cancelled.v1")
    front.book(there)
    booking = front.book(here)
    front.act(here, booking, "pin")
    front.act(here, booking, "cancel")
    heard = listener.subscribe(2)
    assert [event["type"] for event in heard] == ["innkeeper.booking.confirmed.v1", "innkeeper.booking.cancelled.v1"]
    assert {event["subject"] for event in heard} == {booking["id"]}
    listener.close()


def test_whoever_was_away_hears_what_happened_meanwhile_and_nothing_twice(front: Gateway) -> None:
    hotel = front.open({"DBL": 9})
    listener = Listener(front, "after=0")
    first = listener.subscribe(5)
    listener.close()
    for _ in range(9):
        front.book(hotel)
    again = Listener(front, last=first[-1]["position"])
    log = front.entries("/v1/events", limit=200)
    assert first + again.subscribe(len(log) - 5) == log
    again.close()


def test_what_billing_does_is_heard_too_and_nothing_is_missing_after_a_break(front: Gateway) -> None:
    hotel = front.open({"DBL": 9})
    heard, last = [], "0.0"
    for _ in range(4):
        front.book(hotel)
        ours, all_told = len(front.entries("/v1/events", limit=200)), len(front.everything())
        listener = Listener(front, last=last)
        heard += listener.subscribe(ours - listener.position)
        while len(listener.billed) < all_told - ours - int(last.split(".")[1]):
            listener.hear_one()
        heard += listener.billed
        last = listener.last
        listener.close()
    assert sorted(heard, key=str) == sorted(front.everything(), key=str)


def test_who_was_away_for_longer_than_the_ring_reaches_is_served_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "recent_events_max", 4)
    with gateway(tmp_path) as front:
        hotel = front.open({"DBL": 9})
        listeners = [Listener(front, f"after={after}") for after in (0, 3)] + [Listener(front)]
        for night in range(30):
            front.book(hotel, night)
        end = front.position()
        for listener in listeners:
            heard = listener.subscribe(end - listener.position)
            assert [event["position"] for event in heard] == list(range(listener.position + 1, end + 1))
            listener.close()


def test_many_listeners_hear_the_same_while_clients_book_at_once(front: Gateway) -> None:
    hotels = [front.open({"DBL": 50}, id=f"house-{number}") for number in range(3)]
    everyone = [Listener(front, "" if number % 2 else f"hotel=house-{number % 3}") for number in range(30)]
    clients = [threading.Thread(target=_book_all, args=(front, hotel, 40)) for hotel in hotels]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    log = front.entries("/v1/events", after=everyone[0].position, limit=200)
    for number, listener in enumerate(everyone):
        own = log if number % 2 else [event for event in log if event["source"].endswith(f"/house-{number % 3}")]
        assert listener.subscribe(len(own)) == own
        listener.close()


def _book_all(front: Gateway, hotel: str, count: int) -> None:
    for night in range(count):
        front.book(hotel, night)


def test_a_heartbeat_moves_a_listener_on_over_what_was_not_for_it(
    front: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "heartbeat_seconds", 0.2)
    front.open(id="quiet")
    busy = front.open(id="busy")
    quiet, everything = Listener(front, "hotel=quiet"), Listener(front)
    front.book(busy)
    end = front.position()
    until = monotonic() + 10
    while int(quiet.message()["id"].partition(".")[0]) < end:
        assert monotonic() < until
    for listener in (quiet, everything):
        listener.close()


def test_who_wishes_for_what_never_happens_hears_that_time_goes_on(
    front: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "heartbeat_seconds", 0.3)
    hotel = front.open({"DBL": 200})
    listener = Listener(front, "type=innkeeper.booking.cancelled.*")
    until, stopped = monotonic() + 20, threading.Event()

    def keep_booking() -> None:  # with news more often than a heartbeat
        for night in range(900):
            if stopped.is_set():
                return
            front.book(hotel, night)

    busy = threading.Thread(target=keep_booking)
    busy.start()
    try:
        while int(listener.message()["id"].partition(".")[0]) <= listener.position:
            assert monotonic() < until
        assert busy.is_alive(), "it fell silent before the listener heard anything"
    finally:
        stopped.set()
        busy.join()
        listener.close()


@pytest.mark.slow
def test_who_does_not_read_is_cut_off_and_costs_the_others_nothing(
    front: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "listener_seconds_max", 0.5)
    hotel = front.open({"DBL": 200})
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.connect(("127.0.0.1", front.port))
        deaf.sendall(b"GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        listener, wordy = Listener(front), "x" * limits.notes_characters_max
        until = monotonic() + 60
        booked = 0
        while not _is_cut_off(front) and monotonic() < until:
            front.book(hotel, booked % 300, notes=wordy)
            booked += 1
        assert _is_cut_off(front), f"still listening after {booked} bookings"
        assert len(listener.subscribe(booked)) == booked
        listener.close()


def _is_cut_off(front: Gateway) -> bool:
    return front.listeners() == 1


def test_one_listener_too_many_is_asked_to_come_back(front: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "listeners_max", 1)
    listener = Listener(front)
    reply = front.get("/v1/events/stream")
    assert_problem(reply, 503, "unavailable")
    assert reply.headers["retry-after"]
    listener.close()


def test_a_stream_ends_when_the_gateway_does(tmp_path: Path) -> None:
    with gateway(tmp_path) as front:
        listener = Listener(front)
        started = monotonic()
    with pytest.raises(EOFError):
        listener.message()
    assert monotonic() - started < 5
    listener.close()


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ("after=-1", "after", "range"),
        ("after=99999999", "after", "range"),
        ("after=x", "after", "range"),
        ("type=innkeeper.none.*", "type", "unknown"),
        ("type=innkeeper.booking.*,", "type", "unknown"),
        ("type=*&type=*", "type", "once"),
        ("since=1", "since", "unknown"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(front: Gateway, query: str, field: str, rule: str) -> None:
    assert_problem(front.get(f"/v1/events/stream?{query}"), 422, "invalid", field, rule)


@pytest.mark.parametrize("last", ["x", "-1", "1.0", "99999999", "9" * 40, "²"])
def test_a_last_event_that_never_was_is_refused(front: Gateway, last: str) -> None:
    with front.connect() as bare:
        bare.sendall(f"GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {last}\r\n\r\n".encode())
        assert_problem(response_on(bare), 422, "invalid", "Last-Event-ID", "range")


def test_no_one_listens_to_a_hotel_that_is_not_there(front: Gateway) -> None:
    assert_problem(front.get("/v1/events/stream", hotel="none"), 404, "not_found")


def test_listeners_that_leave_are_forgotten(front: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "heartbeat_seconds", 0.1)
    for listener in [Listener(front) for _ in range(20)]:
        listener.close()
    until = monotonic() + 20
    while front.listeners():
        assert monotonic() < until
        sleep(0.05)
