"""The handlers of the routes of the waitlist."""

from datetime import date, datetime

import msgspec
from aiohttp import web
from innkeeper.http.api.parsing import PageQuery, body_of, number_of, query_of
from innkeeper.http.api.rendering import guest_resource, json_response, page
from innkeeper.http.api.reservations import ask, show_booking
from innkeeper.http.api.resources import GuestResource
from innkeeper.protocol.reservations.commands import ChangeWaitlistEntry, JoinWaitlist, LeaveWaitlist
from innkeeper.protocol.reservations.queries import ListWaitlist
from innkeeper.protocol.reservations.replies import WaitlistReply
from innkeeper.protocol.reservations.requests import WaitlistChange, WaitlistRequest
from innkeeper.protocol.reservations.waitlist import WaitlistEntry
from innkeeper.protocol.values.instants import instant


class WaitlistResource(msgspec.Struct, frozen=True):
    """A guest who waits for a stay. When the stay is offered, the held booking has the id of this entry."""

    id: str
    hotel: str
    room_type: str
    arrival: date
    departure: date
    adults: int
    children: tuple[int, ...]
    guest: GuestResource
    notes: str
    source: str
    joined_at: datetime
    joined_by: str
    version: int


_request = msgspec.json.Decoder(WaitlistRequest)
_change = msgspec.json.Decoder(WaitlistChange)


async def join_waitlist(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/waitlist"""
    hotel = request.match_info["hotel"]
    body = await body_of(request, _request)
    reply, headers = await ask(request, JoinWaitlist(hotel, body, body.guest.id), WaitlistReply)
    headers["Location"] = f"/v1/hotels/{hotel}/waitlist/{reply.entries[0].id}"
    return _entry_response(hotel, reply.entries[0], 201, headers)


async def list_waitlist(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/waitlist"""
    query = query_of(request, PageQuery)
    hotel, entries = await _waiting(request)
    after = 0 if query.cursor is None else number_of(query.cursor)  # how many precede would shift when guests leave
    rest = [entry for entry in entries if entry.number > after]
    shown = rest[: query.limit]
    cursor = str(shown[-1].number) if len(shown) < len(rest) else None
    return json_response(page([_entry(hotel, entry) for entry in shown], cursor))


async def show_entry(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/waitlist/{booking}"""
    hotel, entries = await _waiting(request)
    for entry in entries:
        if entry.id == request.match_info["booking"]:
            return _entry_response(hotel, entry)
    await show_booking(request)
    raise web.HTTPSeeOther(f"/v1/hotels/{hotel}/bookings/{request.match_info['booking']}")


async def change_entry(request: web.Request) -> web.Response:
    """PATCH /v1/hotels/{hotel}/waitlist/{booking}"""
    hotel = request.match_info["hotel"]
    command = ChangeWaitlistEntry(hotel, request.match_info["booking"], await body_of(request, _change))
    reply, headers = await ask(request, command, WaitlistReply)
    return _entry_response(hotel, reply.entries[0], headers=headers)


async def leave_waitlist(request: web.Request) -> web.Response:
    """DELETE /v1/hotels/{hotel}/waitlist/{booking}"""
    hotel = request.match_info["hotel"]
    reply, headers = await ask(request, LeaveWaitlist(hotel, request.match_info["booking"]), WaitlistReply)
    return _entry_response(hotel, reply.entries[0], headers=headers)


def _entry_response(
    hotel: str, entry: WaitlistEntry, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return json_response(_entry(hotel, entry), status, {**(headers or {}), "ETag": f'"{entry.version}"'})


async def _waiting(request: web.Request) -> tuple[str, tuple[WaitlistEntry, ...]]:
    reply, _ = await ask(request, ListWaitlist(request.match_info["hotel"]), WaitlistReply)
    return reply.hotel, reply.entries


def _entry(hotel: str, entry: WaitlistEntry) -> WaitlistResource:
    details = entry.guest.details
    return WaitlistResource(
        entry.id, hotel, entry.room_type, entry.arrival, entry.departure, entry.adults, entry.children,
        guest_resource(entry.guest), "" if details is None else details.notes, entry.source,
        instant(entry.joined_at), entry.joined_by, entry.version,
    )  # fmt: skip
