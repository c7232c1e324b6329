"""The live stream: a listener receives every event once and in order, and resumes after the last one."""

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
from support.gateway import Gateway, assert_problem, read_response, reservation_events
from support.gateway import gateway as running_gateway


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway for one test."""
    with running_gateway(tmp_path) as opened:
        yield opened


class Listener:
    """A client of the live stream, on its own connection."""

    def __init__(self, gateway: Gateway, query: str = "", last_event_id: object = None) -> None:
        self._connection = gateway.connect()
        last_event_header = "" if last_event_id is None else f"Last-Event-ID: {last_event_id}\r\n"
        self._connection.sendall(
            f"GET /v1/events/stream?{query} HTTP/1.1\r\nHost: localhost\r\n{last_event_header}\r\n".encode()
        )
        self._lines = self._connection.makefile("rb")
        self.head = self._head()
        self.billing_events: list[dict[str, Any]] = []
        self.last_event_id = self.message()["id"]
        self.position = int(self.last_event_id.partition(".")[0])

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
            if re.fullmatch(rb"[0-9a-f]*\r\n", line):  # the size or the end of a chunk
                continue
            if line == b"\n":
                return fields
            name, _, value = line.decode().rstrip("\n").partition(": ")
            fields[name.rstrip(":")] = value

    def receive(self, count: int) -> list[dict[str, Any]]:
        """The next `count` events of reservations; events of billing are added to `billing_events`."""
        events: list[dict[str, Any]] = []
        while len(events) < count:
            events += reservation_events(self.receive_one())
        return events

    def receive_one(self) -> list[dict[str, Any]]:
        """The event in the next message, if it has one."""
        message = self.message()
        if "data" not in message:
            return []
        event = json.loads(message["data"])
        is_billing = not reservation_events([event])
        if is_billing:
            self.billing_events.append(event)
        self.last_event_id = message["id"]
        assert int(self.last_event_id.split(".")[is_billing]) == event["position"]
        return [event]

    def close(self) -> None:
        """Close the connection without a notice."""
        self._lines.close()
        self._connection.close()


def test_the_live_stream_sends_the_events_of_the_log(gateway: Gateway) -> None:
    listener = Listener(gateway)
    assert b"Content-Type: text/event-stream" in listener.head
    assert b"X-Request-ID" in listener.head
    gateway.book(gateway.open_hotel())
    log = gateway.list_all("/v1/events", limit=200)
    assert listener.receive(len(log)) == log
    listener.close()


def test_a_listener_receives_only_its_hotel_and_event_types(gateway: Gateway) -> None:
    hotel, other_hotel = gateway.open_hotel(id="here"), gateway.open_hotel(id="there")
    listener = Listener(gateway, "hotel=here&type=innkeeper.booking.confirmed.*,innkeeper.booking.cancelled.v1")
    gateway.book(other_hotel)
    booking = gateway.book(hotel)
    gateway.act(hotel, booking, "pin")
    gateway.act(hotel, booking, "cancel")
    events = listener.receive(2)
    assert [event["type"] for event in events] == ["innkeeper.booking.confirmed.v1", "innkeeper.booking.cancelled.v1"]
    assert {event["subject"] for event in events} == {booking["id"]}
    listener.close()


def test_a_listener_resumes_after_its_last_event_without_repeats(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 9})
    first = Listener(gateway, "after=0")
    first_events = first.receive(5)
    first.close()
    for _ in range(9):
        gateway.book(hotel)
    second = Listener(gateway, last_event_id=first_events[-1]["position"])
    log = gateway.list_all("/v1/events", limit=200)
    assert first_events + second.receive(len(log) - 5) == log
    second.close()


def test_billing_events_are_streamed_and_none_is_missing_after_a_reconnect(gateway: Gateway) -> None:
    hotel = gateway.open_hotel({"DBL": 9})
    received, last_event_id = [], "0.0"
    for _ in range(4):
        gateway.book(hotel)
        reservations_count, total_count = len(gateway.list_all("/v1/events", limit=200)), len(gateway.all_events())
        listener = Listener(gateway, last_event_id=last_event_id)
        received += listener.receive(reservations_count - listener.position)
        while len(listener.billing_events) < total_count - reservations_count - int(last_event_id.split(".")[1]):
            listener.receive_one()
        received += listener.billing_events
        last_event_id = listener.last_event_id
        listener.close()
    assert sorted(received, key=str) == sorted(gateway.all_events(), key=str)


def test_events_older_than_the_ring_are_read_from_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "recent_events_max", 4)
    with running_gateway(tmp_path) as gateway:
        hotel = gateway.open_hotel({"DBL": 9})
        listeners = [Listener(gateway, f"after={after}") for after in (0, 3)] + [Listener(gateway)]
        for night in range(30):
            gateway.book(hotel, night)
        end = gateway.last_position()
        for listener in listeners:
            events = listener.receive(end - listener.position)
            assert [event["position"] for event in events] == list(range(listener.position + 1, end + 1))
            listener.close()


def test_many_listeners_receive_the_same_events_of_concurrent_bookings(gateway: Gateway) -> None:
    hotels = [gateway.open_hotel({"DBL": 50}, id=f"house-{number}") for number in range(3)]
    listeners = [Listener(gateway, "" if number % 2 else f"hotel=house-{number % 3}") for number in range(30)]
    clients = [threading.Thread(target=_book_all, args=(gateway, hotel, 40)) for hotel in hotels]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    log = gateway.list_all("/v1/events", after=listeners[0].position, limit=200)
    for number, listener in enumerate(listeners):
        expected = log if number % 2 else [event for event in log if event["source"].endswith(f"/house-{number % 3}")]
        assert listener.receive(len(expected)) == expected
        listener.close()


def _book_all(gateway: Gateway, hotel: str, count: int) -> None:
    for night in range(count):
        gateway.book(hotel, night)


def test_a_heartbeat_carries_the_position_past_events_of_other_hotels(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "heartbeat_seconds", 0.2)
    gateway.open_hotel(id="quiet")
    busy = gateway.open_hotel(id="busy")
    quiet, unfiltered = Listener(gateway, "hotel=quiet"), Listener(gateway)
    gateway.book(busy)
    end = gateway.last_position()
    until = monotonic() + 30
    while int(quiet.message()["id"].partition(".")[0]) < end:
        assert monotonic() < until
    for listener in (quiet, unfiltered):
        listener.close()


def test_heartbeats_are_sent_while_only_events_of_other_types_are_committed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "heartbeat_seconds", 0.3)
    hotel = gateway.open_hotel({"DBL": 200})
    listener = Listener(gateway, "type=innkeeper.booking.cancelled.*")
    until, stopped = monotonic() + 20, threading.Event()

    def keep_booking() -> None:  # with commits more often than a heartbeat
        for night in range(900):
            if stopped.is_set():
                return
            gateway.book(hotel, night)

    booking_thread = threading.Thread(target=keep_booking)
    booking_thread.start()
    try:
        while int(listener.message()["id"].partition(".")[0]) <= listener.position:
            assert monotonic() < until
        assert booking_thread.is_alive(), "the bookings ended before a heartbeat was received"
    finally:
        stopped.set()
        booking_thread.join()
        listener.close()


@pytest.mark.slow
def test_a_listener_that_does_not_read_is_disconnected_and_delays_no_other(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "listener_seconds_max", 0.5)
    hotel = gateway.open_hotel({"DBL": 600})
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        stalled.connect(("127.0.0.1", gateway.port))
        stalled.sendall(b"GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        listener = Listener(gateway)
        until = monotonic() + 60
        while not _is_disconnected(gateway) and monotonic() < until:
            booking = gateway.book(hotel, 1, 300)  # whose event is long: it has the price of each night
            assert listener.receive(1)[0]["subject"] == booking["id"]
        assert _is_disconnected(gateway)
        listener.close()


def _is_disconnected(gateway: Gateway) -> bool:
    return gateway.stream_listeners() == 1


def test_a_listener_above_the_limit_is_refused_with_retry_after(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "listeners_max", 1)
    listener = Listener(gateway)
    reply = gateway.get("/v1/events/stream")
    assert_problem(reply, 503, "unavailable")
    assert reply.headers["retry-after"]
    listener.close()


def test_a_stream_ends_when_the_gateway_stops(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        listener = Listener(gateway)
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
def test_an_invalid_query_is_refused(gateway: Gateway, query: str, field: str, rule: str) -> None:
    assert_problem(gateway.get(f"/v1/events/stream?{query}"), 422, "invalid", field, rule)


@pytest.mark.parametrize("last_event_id", ["x", "-1", "1.0", "99999999", "9" * 40, "²"])
def test_an_invalid_last_event_id_is_refused(gateway: Gateway, last_event_id: str) -> None:
    with gateway.connect() as connection:
        connection.sendall(
            f"GET /v1/events/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {last_event_id}\r\n\r\n".encode()
        )
        assert_problem(read_response(connection), 422, "invalid", "Last-Event-ID", "range")


def test_the_stream_of_an_unknown_hotel_is_not_found(gateway: Gateway) -> None:
    assert_problem(gateway.get("/v1/events/stream", hotel="none"), 404, "not_found")


def test_disconnected_listeners_are_removed(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "heartbeat_seconds", 0.1)
    for listener in [Listener(gateway) for _ in range(20)]:
        listener.close()
    until = monotonic() + 20
    while gateway.stream_listeners():
        assert monotonic() < until
        sleep(0.05)
