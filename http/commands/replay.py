"""Replays the history of a hotel through the HTTP API: bookings, cancellations, check-ins, no-shows and check-outs.

Each day: that day's cancellations of earlier bookings, then the day's bookings in the order of the file, then their
cancellations on the same day, then departures, then arrivals, then the night audit to the next day with an entry. Only
bookings that compete for a night of a room type wait for each other; the others run concurrently.
"""

import asyncio
import csv
import os
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from innkeeper.protocol.values.limits import night_audit_days_max
from tqdm import tqdm

CURRENCY = "EUR"
_ATTEMPTS_MAX = 8
_CONCURRENT_REQUESTS_MAX = 32
_OUTCOMES = ("cancelled", "no_show", "checked_out")
_COLUMNS = ("booked_on", "arrival", "departure", "room_type", "adults", "children", "rate", "outcome", "outcome_on")


class HistoryError(ValueError):
    """The history cannot be replayed, because of a file or of the server; the message says where."""


@dataclass(slots=True)
class HistoryBooking:
    """One booking of the history, and its id once it is accepted."""

    number: int
    booked_on: date
    arrival: date
    departure: date
    room_type: str
    adults: int
    children: int
    rate: str
    outcome: str
    outcome_on: date
    booking: str | None = None


@dataclass(slots=True)
class ReplayTally:
    """The counts of a replay; room nights and revenue are those of checked-out stays."""

    bookings: int = 0
    accepted: int = 0
    refused: int = 0
    cancelled: int = 0
    no_show: int = 0
    checked_out: int = 0
    room_nights: int = 0
    room_revenue: Decimal = field(default_factory=lambda: Decimal("0.00"))

    def report(self) -> dict[str, Any]:
        """The counts as values for JSON; the revenue is a number with two decimal places."""
        counted: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        counted["room_revenue"] = float(self.room_revenue)
        return counted


def read_history(path: Path) -> list[HistoryBooking]:
    """Reads the rows of a history. Raises HistoryError for an invalid file."""
    rows = []
    for number, fields in enumerate(_table(path, _COLUMNS), start=2):
        try:
            row = HistoryBooking(
                number=number - 2,
                booked_on=date.fromisoformat(fields["booked_on"]),
                arrival=date.fromisoformat(fields["arrival"]),
                departure=date.fromisoformat(fields["departure"]),
                room_type=fields["room_type"],
                adults=int(fields["adults"]),
                children=int(fields["children"]),
                rate=str(Decimal(fields["rate"]).quantize(Decimal("0.01"))),
                outcome=fields["outcome"],
                outcome_on=date.fromisoformat(fields["outcome_on"]),
            )
        except (ValueError, ArithmeticError) as error:
            raise HistoryError(f"{path}, line {number}: {error}") from None
        if row.outcome not in _OUTCOMES:
            raise HistoryError(f"{path}, line {number}: outcome must be one of {', '.join(_OUTCOMES)}")
        rows.append(row)
    return rows


def read_rooms(path: Path) -> dict[str, int]:
    """Reads the number of rooms of each type."""
    try:
        return {fields["room_type"]: int(fields["rooms"]) for fields in _table(path, ("room_type", "rooms"))}
    except ValueError as error:
        raise HistoryError(f"{path}: {error}") from None


def _table(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file)
            missing = set(columns) - set(table.fieldnames or ())
            if missing:
                raise HistoryError(f"{path} has no column {', '.join(sorted(missing))}")
            return list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise HistoryError(f"{path} cannot be read: {error}") from None


class Replay:
    """Replays one history through the API, as one hotel."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, hotel: str, rows: list[HistoryBooking], bar: "tqdm[None]"
    ) -> None:
        self._session = session
        self._hotels = f"{url.rstrip('/')}/v1/hotels"
        self._hotel = hotel
        self._bookings = f"{self._hotels}/{hotel}/bookings"
        self._rows = rows
        self._bar = bar
        self._slots = asyncio.Semaphore(_CONCURRENT_REQUESTS_MAX)
        self.tally = ReplayTally()

    async def open(self, rooms: dict[str, int]) -> None:
        """Opens the hotel on the first day of the history. A type takes as many guests as its largest booking has."""
        kinds = []
        for code, count in rooms.items():
            guests = [row.adults + row.children for row in self._rows if row.room_type == code]
            rate = {"amount": "100.00", "currency": CURRENCY}
            kinds.append(
                {
                    "code": code,
                    "name": f"Type {code}",
                    "max_guests": max(guests, default=1),
                    "rate": rate,
                    "room_count": count,
                }
            )
        plan = {
            "id": self._hotel, "name": "Replayed history", "timezone": "UTC", "currency": CURRENCY,
            "business_date": str(self._days()[0]), "clock": "simulated", "room_types": kinds, "housekeeping": False,
        }  # fmt: skip
        status, answer = await self._post(self._hotels, plan, "open")
        if status != 201:
            raise HistoryError(f"the hotel could not be opened: {answer.get('detail')} (--hotel sets another id)")

    async def play(self) -> None:
        """Replays all days, in order."""
        booked, cancelled, arriving, leaving = (
            _grouped(self._rows, key) for key in ("booked_on", "outcome_on", "arrival", "departure")
        )
        days = self._days()
        for day, following in zip(days, [*days[1:], None], strict=True):
            await self._each([r for r in cancelled[day] if r.outcome == "cancelled" and r.booking], "cancel")
            await self._book_all(booked[day])
            await self._each([r for r in booked[day] if _cancelled_at_once(r) and r.booking], "cancel")
            leaving_today = [r for r in leaving[day] if r.booking and r.outcome == "checked_out"]
            await self._each([r for r in leaving_today if r.arrival < day], "check-out")
            arrivals = [r for r in arriving[day] if r.booking and r.outcome != "cancelled"]
            await self._each([r for r in arrivals if r.outcome == "checked_out"], "check-in")
            await self._each([r for r in arrivals if r.outcome == "no_show"], "no-show")
            await self._each([r for r in leaving_today if r.arrival == day], "check-out")
            if following is not None:
                await self._audit(day, following)

    def _days(self) -> list[date]:
        return sorted({day for r in self._rows for day in (r.booked_on, r.arrival, r.departure, r.outcome_on)})

    async def _book_all(self, rows: list[HistoryBooking]) -> None:
        """Makes the bookings. Each waits for earlier ones that compete with it for a room type and night."""
        booking: list[asyncio.Task[None]] = []

        async def after(rivals: list[asyncio.Task[None]], row: HistoryBooking) -> None:
            await asyncio.gather(*rivals)
            async with self._slots:
                await self._book(row)

        for row in rows:
            rivals = [task for task, earlier in zip(booking, rows, strict=False) if _compete(earlier, row)]
            booking.append(asyncio.create_task(after(rivals, row)))
        await asyncio.gather(*booking)

    async def _book(self, row: HistoryBooking) -> None:
        request = {
            "room_type": row.room_type,
            "arrival": str(row.arrival),
            "departure": str(row.departure),
            "adults": row.adults,
            "children": [8] * row.children,
            "guest": {"name": f"Guest {row.number + 1}"},
            "rate": {"amount": row.rate, "currency": CURRENCY},
            "source": "history",
        }
        status, answer = await self._post(self._bookings, request, f"book-{row.number}")
        self.tally.bookings += 1
        self._bar.update()
        if status == 409 and answer["code"] == "sold_out":
            self.tally.refused += 1
            return
        if status != 201:
            raise HistoryError(f"row {row.number + 1} was answered with {status}: {answer.get('detail')}")
        self.tally.accepted += 1
        row.booking = answer["id"]

    async def _each(self, rows: list[HistoryBooking], action: str) -> None:
        await asyncio.gather(*(self._act(row, action) for row in rows))

    async def _act(self, row: HistoryBooking, action: str) -> None:
        async with self._slots:
            url = f"{self._bookings}/{row.booking}/actions/{action}"
            status, answer = await self._post(url, {}, f"{action}-{row.number}")
        if status != 200:
            raise HistoryError(f"row {row.number + 1}: {action} was answered with {status}: {answer.get('detail')}")
        match action:
            case "cancel":
                self.tally.cancelled += 1
            case "no-show":
                self.tally.no_show += 1
            case "check-out":
                self.tally.checked_out += 1
                self.tally.room_nights += answer["nights"]
                self.tally.room_revenue += Decimal(answer["price"]["total"])

    async def _audit(self, day: date, following: date) -> None:
        while day < following:
            day = min(following, date.fromordinal(day.toordinal() + night_audit_days_max))
            status, answer = await self._post(
                f"{self._hotels}/{self._hotel}/night-audit", {"to": str(day)}, f"audit-{day}"
            )
            if status != 200:
                raise HistoryError(f"the night audit to {day} was answered with {status}: {answer.get('detail')}")

    async def _post(self, url: str, body: dict[str, Any], step: str) -> tuple[int, dict[str, Any]]:
        """Posts a request. Retries while the server is busy or unreachable; the idempotency key makes that safe."""
        headers = {"Idempotency-Key": f"replay-{self._hotel}-{step}", "Content-Type": "application/json"}
        data = msgspec.json.encode(body)
        for attempt in range(_ATTEMPTS_MAX):
            try:
                async with self._session.post(url, data=data, headers=headers) as response:
                    if response.status == 401:
                        raise HistoryError("the server requires an API key; set --key or INNKEEPER_KEY")
                    if response.status != 503:
                        return response.status, msgspec.json.decode(await response.read())
            except (aiohttp.ClientConnectionError, TimeoutError) as error:
                if attempt == _ATTEMPTS_MAX - 1:
                    raise HistoryError(f"{url} cannot be reached: {error}") from None
            await asyncio.sleep(min(0.1 * 2**attempt, 5))
        raise HistoryError(f"{url} is still busy after {_ATTEMPTS_MAX} attempts")


def _grouped(rows: list[HistoryBooking], key: str) -> dict[Any, list[HistoryBooking]]:
    groups: dict[Any, list[HistoryBooking]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, key)].append(row)
    return groups


def _compete(one: HistoryBooking, other: HistoryBooking) -> bool:
    return one.room_type == other.room_type and one.arrival < other.departure and other.arrival < one.departure


def _cancelled_at_once(row: HistoryBooking) -> bool:
    return row.outcome == "cancelled" and row.outcome_on == row.booked_on


async def play(
    url: str, key: str, hotel: str, history: Path, rooms: Path, progress: bool
) -> tuple[dict[str, Any], str]:
    """Replays a history through the API at `url`, with an API key unless that is empty. Returns the counts, and a line
    per row: Y accepted, n refused. Raises HistoryError."""
    rows, counts = read_history(history), read_rooms(rooms)
    unknown = {row.room_type for row in rows} - counts.keys()
    if unknown or not rows:
        raise HistoryError(f"{rooms} lacks the types {sorted(unknown)}" if rows else f"{history} has no rows")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        with tqdm(total=len(rows), unit=" bookings", desc="replaying", disable=not progress) as bar:
            replayed = Replay(session, url, hotel, rows, bar)
            await replayed.open(counts)
            await replayed.play()
    return replayed.tally.report(), "".join("Y\n" if row.booking else "n\n" for row in rows)


@asynccontextmanager
async def own_server(program: Path) -> AsyncIterator[str]:
    """Starts an empty server in its own process, and stops it and deletes its data at the end; gives its URL. Settings
    in the environment are ignored, so that a replay does not use a real archive, broker or mail server."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INNKEEPER_")}
    with tempfile.TemporaryDirectory(prefix="innkeeper-") as data:
        command = (sys.executable, str(program), "demo", "--empty", "--port", "0", "--data", data)
        server = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE, env=environment)
        assert server.stderr is not None
        try:
            first = (await server.stderr.readline()).decode()
            match = re.search(r"http://[0-9.:]+", first)
            if match is None:
                raise HistoryError(f"the server for the replay did not start: {first.strip()}")
            yield match[0]
        finally:
            if server.returncode is None:
                server.terminate()
            await server.communicate()
