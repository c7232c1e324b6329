"""The real gateway on a free loopback port, in a thread of its own, with an HTTP client."""

import asyncio
import importlib.util
import json
import os
import socket
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import datetime
from http.client import HTTPConnection, HTTPResponse
from itertools import count
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from innkeeper.actors.partition.clock import ServerClock
from innkeeper.http.api.reservations import STREAM
from innkeeper.http.app import make_app
from innkeeper.http.keys import ApiKeys
from innkeeper.http.middleware import HostPolicy
from innkeeper.http.serving import serving
from innkeeper.protocol.ports.journal import JournalFenced
from innkeeper.protocol.ports.storage import Storage
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.sqlite.storage import SqliteStorage
from support.partition_fixture import NOON, TODAY, night
from support.paths import ROOT
from support.problem_schemas import MEDIA_TYPE, check_problem

SELLER = {
    "name": "Seaside Lda", "address": ["Rua do Mar 1"], "postal_code": "8000-001", "city": "Faro", "country": "PT",
    "tax_number": "500000000", "vat_id": "PT500000000",
}  # fmt: skip

PROBLEM_FIELDS = {"type", "title", "status", "detail", "code", "errors", "request_id"}
ANSWER_SECONDS_MAX = 30
START_SECONDS_MAX = 120
SPLIT = bool(os.environ.get("INNKEEPER_TEST_SPLIT"))
IN_MEMORY = bool(os.environ.get("INNKEEPER_TEST_IN_MEMORY"))
PARTS = ("reservations", "billing", "notifications", "delivery")


def load_run() -> ModuleType:
    """The composition root, loaded again, so that it uses the current limits."""
    spec = importlib.util.spec_from_file_location("innkeeper_run", ROOT / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class HttpResponse(NamedTuple):
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a value."""
        return json.loads(self.body)


class Part:
    """A part of a split installation in a thread, with the clock of the test."""

    def __init__(self, run: ModuleType, name: str, *more: Any) -> None:
        self._stop = threading.Event()
        self._begun: Future[None] = Future()
        self._thread = threading.Thread(target=self._live, args=(run, name, *more), name=name)

    def start(self) -> None:
        """Start; raises the error that prevents it."""
        self._thread.start()
        self._begun.result()

    def stop(self) -> None:
        """Finish accepted work, and stop."""
        self._stop.set()
        self._thread.join()

    def _live(self, run: ModuleType, name: str, *more: Any) -> None:
        async def live() -> None:
            async with run.running(*more, [name]) as installation:
                self._begun.set_result(None)
                with suppress(JournalFenced):
                    await run.first_of(installation.ended(), asyncio.to_thread(self._stop.wait))

        try:
            run.run_async(live())
        except BaseException as error:
            if self._begun.done():
                raise
            self._begun.set_exception(error)


class Gateway:
    """A gateway, its partition and its read models, with short ways to send requests. Time runs from noon of the first
    business date; `advance_clock` moves it forward."""

    def __init__(
        self,
        data: Path,
        keys: ApiKeys | None = None,
        split: bool = SPLIT,
        hosts: HostPolicy | None = None,
        address: str = "127.0.0.1",
        simulated_clocks: bool = True,
        **integrations: Any,
    ) -> None:
        """All in one, or `split` into parts; it listens on `address`. It may open hotels with `simulated_clocks`."""
        self._simulated_clocks = simulated_clocks
        self._hosts = hosts
        self._address = address
        self._split = split
        self._parts: dict[str, Part] = {}
        self._data = data
        self._keys = keys
        self._run = load_run()
        self._integrations = self._run.Integrations(
            **{"webhooks_to_loopback": True, "simulated_payments": True} | integrations
        )
        self._memory = self._run.MemoryStorage() if IN_MEMORY else None  # it survives `restart`
        if IN_MEMORY:
            data.mkdir(exist_ok=True)  # for letters and the archive
        self._clock_offset = self._counting_offset = NOON - round(monotonic() * 1e6)
        self._started: Future[int] = Future()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, name="gateway", daemon=True)
        self._names = count(1)
        self._seen = 0
        self.port = 0

    @property
    def storage(self) -> Storage:
        """What it stores."""
        return self._memory or SqliteStorage(DataDirectory(self._data))

    def clock(self) -> int:
        """Now, in microseconds since 1970 UTC."""
        return round(monotonic() * 1e6) + self._clock_offset

    def advance_clock(self, seconds: float) -> None:
        """Move the clock forward: time passes."""
        self._counting_offset += round(seconds * 1e6)
        self.jump_clock(seconds)

    def jump_clock(self, seconds: float) -> None:
        """Set the clock on the wall forward or back, while no time passes."""
        self._clock_offset += round(seconds * 1e6)

    def _server_clock(self) -> ServerClock:
        """The clock as a server has it, which notices a jump."""
        return ServerClock(self.clock, lambda: round(monotonic() * 1e6) + self._counting_offset)

    def set_clock(self, local: str) -> None:
        """Move the clock forward to this time in Lisbon."""
        moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo("Europe/Lisbon"))
        self.advance_clock(moment.timestamp() - self.clock() / 1e6)

    def start(self) -> None:
        """Start; raises the error that prevents it."""
        self._thread.start()
        self.port = self._started.result(START_SECONDS_MAX)

    def close(self) -> None:
        """Finish accepted work, and stop."""
        self._stop.set()
        self._thread.join()

    def restart(self) -> None:
        """Close, and start again on the same data."""
        self.close()
        self.open_again()

    def open_again(self) -> None:
        """Start again on the same data, after `close`."""
        self._stop.clear()
        self._started = Future()
        self._thread = threading.Thread(target=self._live, name="gateway", daemon=True)
        self.start()

    def _live(self) -> None:
        try:
            self._run.run_async(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        try:
            for name in PARTS if self._split else ():
                self.start_part(name)
            await self._serve_http(["gateway-0"] if self._split else [])
        finally:
            for name in reversed([*self._parts]):
                self.stop_part(name)

    def start_part(self, name: str) -> None:
        """Start a separate part."""
        self._parts[name] = Part(self._run, name, self._data, self._integrations, self._server_clock())
        self._parts[name].start()

    def stop_part(self, name: str) -> None:
        """Stop a separate part; the others continue."""
        self._parts.pop(name).stop()

    async def _serve_http(self, parts: list[str]) -> None:
        async with self._run.running(
            self._data, self._integrations, self._server_clock(), parts, self._memory
        ) as ports:
            await ports.connected()
            app = make_app(
                ports, self._integrations.providers, self._keys, self._hosts, simulated_clocks=self._simulated_clocks
            )
            self._stream = app[STREAM]
            async with serving(app, self._address, 0) as port:
                self._started.set_result(port)
                await asyncio.to_thread(self._stop.wait)

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> HttpResponse:
        """One request on a connection of its own; a body that is not bytes goes as JSON."""
        return send(self.port, method, path, body, headers)

    def get(self, path: str, **query: Any) -> HttpResponse:
        """GET; a name like `from_` stands for one that is reserved in Python."""
        parameters = urlencode({name.strip("_"): value for name, value in query.items()})
        return self.send("GET", f"{path}?{parameters}" if parameters else path)

    def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> HttpResponse:
        """POST"""
        return self.send("POST", path, body, headers)

    def connect(self) -> socket.socket:
        """A bare connection, for invalid HTTP."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_SECONDS_MAX)

    def send_bytes(self, request: bytes) -> HttpResponse:
        """Send these bytes; the response."""
        with self.connect() as bare:
            bare.sendall(request)
            return read_response(bare)

    def open_hotel(self, rooms: dict[str, int] | None = None, **more: Any) -> str:
        """Open a hotel of types for two at 100.00 EUR; its path."""
        reply = self.post("/v1/hotels", hotel_request(rooms, **{"id": f"hotel-{next(self._names)}"} | more))
        assert reply.status == 201, reply
        return reply.headers["location"]

    def set_billing(self, hotel: str, **more: Any) -> HttpResponse:
        """Set the billing terms of a hotel, with a seller who can issue invoices."""
        reply = self.send("PUT", f"{hotel}/billing", {"seller": SELLER} | more)
        assert reply.status == 200, reply
        return reply

    def book(self, hotel: str, arrival: int = 1, nights: int = 1, **more: Any) -> dict[str, Any]:
        """Book, and expect success; the booking."""
        reply = self.post(f"{hotel}/bookings", stay_request(arrival, nights, **more))
        assert reply.status == 201, reply
        return reply.json

    def act(self, hotel: str, booking: dict[str, Any], action: str, **fields: Any) -> HttpResponse:
        """Request an action on a booking."""
        return self.post(f"{booking_path(hotel, booking)}/actions/{action}", fields)

    def run_night_audit(self, hotel: str, to: int) -> HttpResponse:
        """Run the night audit up to so many days after the first business date."""
        return self.post(f"{hotel}/night-audit", {"to": str(night(to))})

    def list_all(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All entries of a list, page by page."""
        page = self.get(path, **query).json
        found: list[dict[str, Any]] = page["data"]
        while page["next_cursor"] is not None:
            page = self.get(path, **query, cursor=page["next_cursor"]).json
            found += page["data"]
        return found

    def all_events(self) -> list[dict[str, Any]]:
        """The events of all logs, after billing has handled all events of reservations."""
        self.get("/v1/hotels/any/ledger")  # billing does not answer before that
        logs = ("reservations", "billing", "delivery")
        return [event for log in logs for event in self.list_all("/v1/events", limit=200, log=log)]

    def stream_listeners(self) -> int:
        """The number of clients of the live stream."""
        return self._stream.listeners

    def last_position(self) -> int:
        """The position of the last event."""
        while page := self.get("/v1/events", after=self._seen, limit=200).json["data"]:
            self._seen = page[-1]["position"]
        return self._seen


def send(port: int, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> HttpResponse:
    """One request on a connection of its own; a body that is not bytes goes as JSON."""
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    content_type = {} if body is None else {"Content-Type": "application/json"}
    connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request(method, path, body, {**content_type, **(headers or {})})
        return _answered(connection.getresponse(), method, path)
    finally:
        connection.close()


def reservation_events(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """These events without those of billing."""
    return [event for event in events if not event["source"].endswith("/billing")]


@contextmanager
def gateway(
    data: Path,
    keys: ApiKeys | None = None,
    split: bool = SPLIT,
    hosts: HostPolicy | None = None,
    address: str = "127.0.0.1",
    **more: Any,
) -> Iterator[Gateway]:
    """A gateway on an empty data directory; `more` are arguments of `Gateway` and of `Integrations`."""
    opened = Gateway(data, keys, split, hosts, address, **more)
    opened.start()
    try:
        yield opened
    finally:
        opened.close()


def read_response(bare: socket.socket) -> HttpResponse:
    """Read the response on a bare connection."""
    response = HTTPResponse(bare)
    try:
        response.begin()
        return _answered(response)
    finally:
        response.close()


def _answered(response: HTTPResponse, method: str = "", path: str = "") -> HttpResponse:
    headers = {name.lower(): value for name, value in response.getheaders()}
    answered = HttpResponse(response.status, headers, response.read())
    if headers.get("content-type", "").startswith(MEDIA_TYPE):
        check_problem(answered.status, answered.json, method, path)
    return answered


def booking_path(hotel: str, booking: dict[str, Any]) -> str:
    """The path of a booking."""
    return f"{hotel}/bookings/{booking['id']}"


def hotel_request(rooms: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    """The body that opens a hotel."""
    room_types = [
        {
            "code": code,
            "name": f"Type {code}",
            "max_guests": 2,
            "rate": {"amount": "100.00", "currency": "EUR"},
            "room_count": number,
        }
        for code, number in (rooms or {"DBL": 3}).items()
    ]
    hotel_request = {"name": "Seaside", "timezone": "Europe/Lisbon", "currency": "EUR", "business_date": str(TODAY)}
    hotel_request["clock"] = "simulated"
    return hotel_request | {"room_types": room_types} | more


def stay_request(arrival: int = 1, nights: int = 1, **more: Any) -> dict[str, Any]:
    """The body that books a stay which begins so many nights after the first business date."""
    dates = {"arrival": str(night(arrival)), "departure": str(night(arrival + nights))}
    return {"room_type": "DBL", "guest": {"name": "Ann"}} | dates | more


def assert_problem(
    reply: HttpResponse, status: int, code: str | None = None, field: str | None = None, rule: str | None = None
) -> dict[str, Any]:
    """Check that this is a complete problem document (RFC 9457), with these values where they are given; the
    document."""
    assert reply.status == status, reply
    assert reply.headers["content-type"].partition(";")[0] == "application/problem+json", reply
    problem: dict[str, Any] = reply.json
    assert problem.keys() >= PROBLEM_FIELDS, problem
    assert (problem["status"], problem["code"]) == (status, code or problem["code"]), problem
    assert problem["request_id"] == reply.headers["x-request-id"], reply
    if field is not None:
        assert (field, rule) in [(error["field"], error["rule"]) for error in problem["errors"]], problem
    return problem
