"""A stop (SIGTERM) is over in the time that docs/deploy.md names, whatever clients and others do meanwhile."""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest
from support.gateway import assert_problem, hotel_request, read_response, send, stay_request
from support.installation import Installation
from support.server_process import ServerProcess
from support.waiting import wait_until

STOP_SECONDS_MAX = 60  # docs/deploy.md
AT_ONCE_SECONDS_MAX = 2.0
START_SECONDS_MAX = 60


@contextmanager
def silent_server() -> Iterator[int]:
    """A server that accepts connections, and never answers; its port."""
    with ExitStack() as exits:
        listening = exits.enter_context(socket.create_server(("127.0.0.1", 0)))
        accepted: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    accepted.append(listening.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        for connection in accepted:
            connection.close()


def connect(port: int) -> socket.socket:
    """A connection to the server."""
    return socket.create_connection(("127.0.0.1", port), timeout=START_SECONDS_MAX)


def begin_body(port: int) -> socket.socket:
    """Begins a booking whose body does not arrive."""
    connection = connect(port)
    connection.sendall(
        b"POST /v1/hotels/seaside/bookings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000\r\n\r\n{"
    )
    return connection


def begin_header(port: int) -> socket.socket:
    """Begins a request whose header does not end."""
    connection = connect(port)
    connection.sendall(b"GET /v1/hotels HTTP/1.1\r\nHost: localhost\r\n")
    return connection


def stream_slowly(port: int) -> socket.socket:
    """Opens the live stream from its beginning, and does not read it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
    connection.settimeout(START_SECONDS_MAX)
    connection.connect(("127.0.0.1", port))
    connection.sendall(b"GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


def read_slowly(port: int) -> socket.socket:
    """Asks for the documentation again and again, and does not read the answers."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
    connection.settimeout(START_SECONDS_MAX)
    connection.connect(("127.0.0.1", port))
    connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
    return connection


CLIENTS: list[Callable[[int], socket.socket]] = [begin_body, begin_header, stream_slowly, read_slowly]


def port_of(url: str) -> int:
    """The port in a URL."""
    return int(url.rpartition(":")[2])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with a hotel."""
    started = ServerProcess(tmp_path / "data")
    assert send(port_of(started.url), "POST", "/v1/hotels", hotel_request(id="seaside")).status == 201
    yield started
    started.close()


def test_a_request_whose_body_is_arriving_is_refused_at_once_and_its_connection_closed(server: ServerProcess) -> None:
    with begin_body(port_of(server.url)) as connection:
        sleep(0.2)
        start = monotonic()
        os.kill(server.pid, signal.SIGTERM)
        response = read_response(connection)
        assert_problem(response, 503, "unavailable")
        assert (response.headers["retry-after"], response.headers["connection"]) == ("1", "close")
        assert connection.recv(1) == b""
        assert monotonic() - start < AT_ONCE_SECONDS_MAX
    assert server.stop()[0] == 0


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stop_is_over_in_time_whatever_a_client_does(
    server: ServerProcess, client: Callable[[int], socket.socket]
) -> None:
    with client(port_of(server.url)):
        sleep(0.2)
        assert_stops_in_time(lambda: server.stop()[0])


@pytest.mark.slow
def test_a_stop_is_over_in_time_while_receivers_brokers_and_mail_servers_hang(tmp_path: Path) -> None:
    with silent_server() as receiver, silent_server() as mail, silent_server() as broker:
        options = hanging(mail, broker)
        started = ServerProcess(tmp_path / "data", options=options)
        try:
            make_work(port_of(started.url), receiver)
            assert_stops_in_time(lambda: started.stop()[0])
        finally:
            started.close()


@pytest.mark.slow
def test_a_stop_of_several_processes_is_over_in_time_while_all_hang(tmp_path: Path) -> None:
    with silent_server() as receiver, silent_server() as mail, silent_server() as broker, ExitStack() as exits:
        options = hanging(mail, broker)
        started = Installation(tmp_path / "data", *options)
        try:
            make_work(started.port, receiver)
            for client in CLIENTS:
                exits.enter_context(client(started.port))
            assert_stops_in_time(started.stop)
        finally:
            started.close()


def hanging(mail: int, broker: int) -> list[str]:
    """The options of a server whose mail server and broker hang."""
    mail_options = ["--smtp", f"smtp://127.0.0.1:{mail}", "--mail-from", "desk@hotel.example.com"]
    return [*mail_options, "--broker", f"amqp://guest:guest@127.0.0.1:{broker}/"]


def make_work(port: int, receiver: int) -> None:
    """Makes work for all who hang: a webhook that is under way, a letter, and events for the broker."""
    webhook = {"url": f"http://127.0.0.1:{receiver}/hook", "events": ["innkeeper.*"]}
    wait_until(lambda: send(port, "POST", "/v1/webhooks", webhook).status == 201, START_SECONDS_MAX)
    assert send(port, "POST", "/v1/hotels", hotel_request(id="seaside")).status == 201
    guest = {"name": "Ann", "email": "ann@hotel.example.com"}
    assert send(port, "POST", "/v1/hotels/seaside/bookings", stay_request(guest=guest)).status == 201
    sleep(1)


def assert_stops_in_time(stop: Callable[[], int]) -> None:
    """The stop is in time, and in order."""
    start = monotonic()
    assert stop() == 0
    seconds = monotonic() - start
    print(f"stopped in {seconds:.1f} s")
    assert seconds < STOP_SECONDS_MAX
