"""The usual alternative to Innkeeper: aiohttp, asyncpg and PostgreSQL, in two good plain designs.

`exclusion`: a row per booking; an exclusion constraint forbids that two of them share a room and a night. A free room
is chosen by query, starting at a random one to avoid conflicts, and chosen again after a conflict.
`counters`: how many rooms are free per hotel, type and night; no room is assigned.

Each books with one statement, which is one transaction: the booking and an outbox row. Innkeeper's own code reads
and answers the requests, so that only the storage differs.
"""

import argparse
import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from urllib.parse import urlsplit

import asyncpg
import msgspec
from aiohttp import web
from documents import RATE, booking_document
from hotels import TODAY
from innkeeper.http.api.rendering import json_response
from innkeeper.protocol.reservations.requests import BookingRequest, HotelRequest
from serving import serve
from uuid_utils import uuid7

URL = os.environ.get("INNKEEPER_BENCH_POSTGRES", "postgresql://postgres@127.0.0.1/test")
EXIT_OVERSOLD, EXIT_MISSING = 1, 3
TRIES_MAX = 20
NIGHTS_OPEN = 1_500

OUTBOX = """
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, hotel int NOT NULL, type text NOT NULL, booking uuid NOT NULL,
    body jsonb NOT NULL);
"""

EXCLUSION = """
CREATE TABLE bookings (
    id uuid PRIMARY KEY, hotel int NOT NULL, room int NOT NULL, stay daterange NOT NULL, rate int NOT NULL,
    guest jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    EXCLUDE USING gist (hotel WITH =, room WITH =, stay WITH &&));
"""
# "IS FALSE" prevents a join: the rooms are tried in the order given, and mostly the first is free.
BOOK_EXCLUSION = """
WITH chosen AS (
    SELECT room FROM (SELECT $8 + ($9 + number) % $3 AS room FROM generate_series(1, $3::int) AS number) AS rooms
    WHERE EXISTS (SELECT FROM bookings b WHERE b.hotel = $2 AND b.room = rooms.room AND b.stay && daterange($4, $5))
          IS FALSE
    LIMIT 1
), booked AS (
    INSERT INTO bookings (id, hotel, room, stay, rate, guest)
    SELECT $1, $2, room, daterange($4, $5), $6, $7::jsonb FROM chosen RETURNING id, room
), announced AS (
    INSERT INTO outbox (hotel, type, booking, body) SELECT $2, 'booking.confirmed', id, $7::jsonb FROM booked
)
SELECT room FROM booked
"""
OVERSOLD_EXCLUSION = """
SELECT count(*) FROM (
    SELECT hotel, room, night
    FROM bookings, generate_series(lower(stay)::timestamp, upper(stay) - interval '1 day', interval '1 day') AS night
    GROUP BY hotel, room, night HAVING count(*) > 1) AS twice
"""

COUNTERS = """
CREATE TABLE free_rooms (
    hotel int, room_type text, night date, rooms int NOT NULL, free int NOT NULL CHECK (free >= 0),
    PRIMARY KEY (hotel, room_type, night)) WITH (fillfactor = 50);
CREATE TABLE bookings (
    id uuid PRIMARY KEY, hotel int NOT NULL, room_type text NOT NULL, arrival date NOT NULL, departure date NOT NULL,
    nights_taken int NOT NULL, rate int NOT NULL, guest jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (nights_taken = departure - arrival));
"""
# Where a night has no room left, the CHECK on nights_taken rolls back the whole statement.
BOOK_COUNTERS = """
WITH taken AS (
    UPDATE free_rooms SET free = free - 1
    WHERE hotel = $2 AND room_type = $3 AND night >= $4 AND night < $5 AND free > 0 RETURNING 1
), booked AS (
    INSERT INTO bookings (id, hotel, room_type, arrival, departure, nights_taken, rate, guest)
    SELECT $1, $2, $3, $4, $5, (SELECT count(*) FROM taken), $6, $7::jsonb RETURNING id
)
INSERT INTO outbox (hotel, type, booking, body) SELECT $2, 'booking.confirmed', id, $7::jsonb FROM booked
"""
OVERSOLD_COUNTERS = """
SELECT count(*) FROM free_rooms f WHERE free < 0 OR rooms - free <> (
    SELECT count(*) FROM bookings b
    WHERE b.hotel = f.hotel AND b.room_type = f.room_type AND b.arrival <= f.night AND b.departure > f.night)
"""
INDEX_FOR_CHECK = "CREATE INDEX ON bookings (hotel, room_type, arrival)"

PLANNER = {"enable_seqscan": "off", "enable_bitmapscan": "off", "jit": "off"}  # new tables have no statistics


class Exclusion:
    """A row per booking, with an exclusion constraint."""

    schema = EXCLUSION

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._rooms: dict[tuple[int, str], range] = {}
        self._count = 0

    async def open(self, hotel: int, hotel_request: HotelRequest) -> None:
        """Number the rooms."""
        for kind in hotel_request.room_types:
            self._rooms[hotel, kind.code] = range(self._count, self._count + kind.room_count)
            self._count += kind.room_count

    async def book(self, booking: str, hotel: int, wanted: BookingRequest, guest: str) -> str | None:
        """The room, or None where none is free."""
        rooms = self._rooms[hotel, wanted.room_type]
        for _ in range(TRIES_MAX):
            count, start = len(rooms), random.randrange(len(rooms))
            try:
                room = await self._pool.fetchval(
                    BOOK_EXCLUSION, booking, hotel, count, wanted.arrival, wanted.departure, RATE, guest,
                    rooms.start, start,
                )  # fmt: skip
            except (asyncpg.ExclusionViolationError, asyncpg.DeadlockDetectedError):
                continue
            return None if room is None else str(room)
        return None

    async def oversold(self) -> int:
        """How many room nights were sold twice."""
        return int(await self._pool.fetchval(OVERSOLD_EXCLUSION))


class Counters:
    """Free rooms per hotel, type and night."""

    schema = COUNTERS

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def open(self, hotel: int, hotel_request: HotelRequest) -> None:
        """Insert a row for each night, with all rooms free."""
        rows = [
            (hotel, kind.code, TODAY + timedelta(days=night), kind.room_count, kind.room_count)
            for kind in hotel_request.room_types
            for night in range(NIGHTS_OPEN)
        ]
        await self._pool.copy_records_to_table("free_rooms", records=rows)

    async def book(self, booking: str, hotel: int, wanted: BookingRequest, guest: str) -> str | None:
        """An empty room name, or None where a night has no room left."""
        arrival, departure = wanted.arrival, wanted.departure
        for _ in range(TRIES_MAX):
            try:
                await self._pool.execute(
                    BOOK_COUNTERS, booking, hotel, wanted.room_type, arrival, departure, RATE, guest
                )
            except asyncpg.CheckViolationError:
                return None
            except asyncpg.DeadlockDetectedError:
                continue
            return ""
        return None

    async def oversold(self) -> int:
        """How many counters differ from the bookings."""
        await self._pool.execute(INDEX_FOR_CHECK)
        return int(await self._pool.fetchval(OVERSOLD_COUNTERS))


DESIGNS: dict[str, Callable[[asyncpg.Pool], Exclusion | Counters]] = {"exclusion": Exclusion, "counters": Counters}


def routes(design: Exclusion | Counters) -> list[web.RouteDef]:
    """The routes that the benchmarks use."""
    hotels: dict[str, int] = {}
    read_hotel, read_request = msgspec.json.Decoder(HotelRequest), msgspec.json.Decoder(BookingRequest)

    async def open_hotel(request: web.Request) -> web.Response:
        opening = read_hotel.decode(await request.read())
        hotel = hotels[opening.id or ""] = len(hotels) + 1
        await design.open(hotel, opening)
        return json_response({"id": opening.id}, 201)

    async def book(request: web.Request) -> web.Response:
        wanted = read_request.decode(await request.read())
        hotel, booking = request.match_info["hotel"], str(uuid7())
        guest = msgspec.json.encode(wanted.guest).decode()
        room = await design.book(booking, hotels[hotel], wanted, guest)
        if room is None:
            return json_response({"code": "sold_out", "status": 409}, 409)
        headers = {"Location": f"/v1/hotels/{hotel}/bookings/{booking}", "ETag": '"1"'}
        return json_response(booking_document(booking, hotel, room, wanted), 201, headers)

    return [web.post("/v1/hotels/{hotel}/bookings", book), web.post("/v1/hotels", open_hotel)]


class Database:
    """A schema for this process, dropped at the end, and the pool of connections to it."""

    def __init__(self, connections: int) -> None:
        self.schema = f"innkeeper_benchmark_{os.getpid()}"
        self.oversold = 0
        self.processes: list[int] = []
        self._connections = connections

    async def open(self) -> asyncpg.Pool:
        """Create the schema, and open all connections at once."""
        first = await asyncpg.connect(URL, timeout=10)
        await first.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
        await first.execute(f"CREATE SCHEMA {self.schema}")
        await first.close()
        settings = {**PLANNER, "search_path": f"{self.schema}, public", "synchronous_commit": "on"}
        size = self._connections
        pool = await asyncpg.create_pool(
            URL,
            min_size=size,
            max_size=size,
            reset=_reset_nothing,
            server_settings=settings,
            timeout=10,
            command_timeout=120,
        )
        connections = [await pool.acquire() for _ in range(size)]
        self.processes = [connection.get_server_pid() for connection in connections]
        for connection in connections:
            await pool.release(connection)
        return pool

    async def close(self, pool: asyncpg.Pool) -> None:
        """Drop the schema with all that is in it."""
        await pool.close()
        last = await asyncpg.connect(URL, timeout=10)
        await last.execute(f"DROP SCHEMA {self.schema} CASCADE")
        await last.close()


async def _reset_nothing(_: asyncpg.Connection) -> None:
    """No session state is ever changed, so nothing needs a reset: this saves a round trip per request."""


def main() -> int:
    """Serve until SIGTERM; ends with 1 where a night was oversold, with 3 where there is no PostgreSQL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--design", choices=DESIGNS, default="exclusion")
    parser.add_argument("--connections", type=int, default=32, help="size of the pool")
    options = parser.parse_args()
    database = Database(options.connections)

    async def lifespan(app: web.Application) -> AsyncIterator[None]:
        pool = await database.open()
        try:
            design = DESIGNS[options.design](pool)
            await pool.execute(OUTBOX + design.schema)
            app.add_routes(routes(design))
            yield
            database.oversold = await design.oversold()
        finally:
            await database.close(pool)

    async def make() -> web.Application:
        app = web.Application()
        app.cleanup_ctx.append(lifespan)
        return app

    try:
        serve(make, lambda: "database processes: " + " ".join(map(str, database.processes)))
    except (TimeoutError, OSError, asyncpg.PostgresError) as error:
        address = urlsplit(URL)  # without its password
        print(f"PostgreSQL at {address.hostname}:{address.port or 5432} cannot be used: {error}", file=sys.stderr)
        return EXIT_MISSING
    print(f"room nights oversold: {database.oversold}", file=sys.stderr)
    return EXIT_OVERSOLD if database.oversold else 0


if __name__ == "__main__":
    sys.exit(main())
