"""The handlers of the routes of guests: what is known of a guest, and forgetting one."""

from datetime import date
from typing import TypeVar

import msgspec
from aiohttp import web
from innkeeper.http.api.rendering import guest_resource, json_response
from innkeeper.http.api.reservations import BUSES, ask, log_of_hotel, reply_of, view
from innkeeper.http.api.resources import GuestResource
from innkeeper.http.api.subscribers import ask as ask_service
from innkeeper.http.api.subscribers import caught_up
from innkeeper.http.keys import BY
from innkeeper.http.problems import REQUEST_ID
from innkeeper.protocol.billing.queries import ShowGuestAccount
from innkeeper.protocol.billing.refusals import GuestOwes
from innkeeper.protocol.billing.replies import GuestAccountReply
from innkeeper.protocol.codec import wire
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.event import ForgettingEvent
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.subscriptions import ListSubscribers, SubscribersReply, SubscriberState
from innkeeper.protocol.ports.views import KnownGuest
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.reservations.commands import ForgetGuest
from innkeeper.protocol.reservations.queries import FindGuest
from innkeeper.protocol.reservations.replies import GuestReply
from innkeeper.protocol.values.contexts import BILLING, RESERVATIONS
from innkeeper.protocol.values.guests import Guest

R = TypeVar("R", bound=Reply)

_FORGETTING = wire.type_names(
    kind for kind in wire.ALL_EVENTS if issubclass(kind, ForgettingEvent) and kind.context is RESERVATIONS
)
_WHY_KEPT = "the law demands it; docs/privacy.md says for how long, and what has left the system"


class GuestBooking(msgspec.Struct, frozen=True):
    """A booking of a guest, in short."""

    id: str
    locator: str
    status: BookingStatus
    arrival: date
    departure: date


class ErasureStep(msgspec.Struct, frozen=True):
    """A part of the system that forgets the guest, or a receiver that gets `guest.forgotten`."""

    part: str
    done: bool


class KeptDocuments(msgspec.Struct, frozen=True):
    """The numbers of the invoices and credit notes that keep their buyer, and why."""

    documents: tuple[str, ...]
    reason: str


class Erasure(msgspec.Struct, frozen=True):
    """How far a guest is forgotten, and what is kept."""

    done: bool
    steps: list[ErasureStep]
    kept: KeptDocuments


class ForgottenGuest(msgspec.Struct, frozen=True):
    """A guest who is being forgotten. `progress` is the path that shows how far that is."""

    hotel: str
    guest: GuestResource
    progress: str
    kept: KeptDocuments


class KnownGuestResource(msgspec.Struct, frozen=True):
    """A guest with the newest contact data, and the latest bookings. One who is forgotten has no contact data, but an
    `erasure`."""

    hotel: str
    guest: GuestResource
    bookings: list[GuestBooking]
    erasure: Erasure | None


async def show_guest(request: web.Request) -> web.Response:
    """GET /v1/hotels/{hotel}/guests/{guest}"""
    reply, _ = await ask(request, FindGuest(request.match_info["hotel"], request.match_info["guest"]), GuestReply)
    return json_response(await _known(request, reply.guest))


async def forget_guest(request: web.Request) -> web.Response:
    """DELETE /v1/hotels/{hotel}/guests/{guest}"""
    hotel, guest = request.match_info["hotel"], request.match_info["guest"]
    await _look_up(request, FindGuest(hotel, guest), GuestReply, RESERVATIONS)
    account = await _account(request, hotel, guest)
    if account.open:
        raise Refused(GuestOwes(guest, tuple(one.booking for one in account.open)))
    reply, headers = await ask(request, ForgetGuest(hotel, guest), GuestReply)
    path = f"/v1/hotels/{hotel}/guests/{guest}"
    forgotten = ForgottenGuest(hotel, guest_resource(reply.guest), path, KeptDocuments(account.documents, _WHY_KEPT))
    return json_response(forgotten, 202, {**headers, "Location": path})


async def _account(request: web.Request, hotel: str, guest: str) -> GuestAccountReply:
    """What billing knows of the guest, once it has followed all that was acknowledged. Raises `Refused`."""
    await caught_up(request, BILLING, hotel)
    return await _look_up(request, ShowGuestAccount(hotel, guest), GuestAccountReply, BILLING)


async def _look_up(request: web.Request, query: Query, kind: type[R], context: str) -> R:
    """The reply to a query of the way, which has nothing to do with the request's idempotency key."""
    envelope = Envelope(query, None, request[REQUEST_ID], request[BY])
    reply, _ = reply_of(await request.app[BUSES][context].ask(envelope), kind)
    return reply


async def _known(request: web.Request, guest: Guest) -> KnownGuestResource:
    hotel = request.match_info["hotel"]
    known = await view(request, hotel, lambda views, ends: views.guest(ends, hotel, guest.id))
    bookings = [GuestBooking(one.id, one.locator, one.status, one.arrival, one.departure) for one in known.bookings]
    erasure = None if known.forgotten_at is None else await _erasure(request, guest.id, known)
    return KnownGuestResource(hotel, guest_resource(guest), bookings, erasure)


def _has_followed(state: SubscriberState, log: str, position: int) -> bool:
    """Whether the subscriber has handled the event at this position. Its position passes the events of hotels that
    wait there."""
    return state.positions[log] >= position and not (state.parked or state.waiting)


async def _erasure(request: web.Request, guest: str, known: KnownGuest) -> Erasure:
    """A part has forgotten the guest when it has followed the event, and nothing of the guest is left in its file."""
    hotel, position = request.match_info["hotel"], known.forgotten_at or 0
    log = log_of_hotel(request, RESERVATIONS, hotel)
    subscribers = (await ask_service(request, ListSubscribers(), SubscribersReply)).subscribers
    erasing = {state.name for state in subscribers if state.is_erasing}
    for context in (RESERVATIONS, BILLING):  # asked last: what was followed meanwhile may have left something
        if await request.app[BUSES][context].is_erasing(hotel):
            erasing.add(context)
    steps = [ErasureStep(RESERVATIONS, RESERVATIONS not in erasing), ErasureStep("lists", not known.is_erasing)]
    steps += [
        ErasureStep(state.name, _has_followed(state, log, position) and state.name not in erasing)
        for state in subscribers
        if log in state.positions and any(wire.is_of_types(one, state.types) for one in _FORGETTING)
    ]
    kept = KeptDocuments((await _account(request, hotel, guest)).documents, _WHY_KEPT)
    return Erasure(all(step.done for step in steps), steps, kept)
