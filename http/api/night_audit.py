"""The night audit: what it does or would do, and who has left and owes something, which only billing knows."""

import asyncio
from collections.abc import Callable
from datetime import date, datetime

import msgspec
from aiohttp import web
from innkeeper.http.api.billing import ask_billing
from innkeeper.http.api.billing_resources import OpenBalanceResource, open_balance
from innkeeper.http.api.parsing import NightAuditQuery, NightAuditRequest, body_of, query_of
from innkeeper.http.api.rendering import json_response
from innkeeper.http.api.reservations import ask
from innkeeper.protocol.billing.queries import ListOpenBalances, OpenBalanceSide
from innkeeper.protocol.billing.replies import OpenBalancesReply
from innkeeper.protocol.messages.refusals import Refused, invalid
from innkeeper.protocol.reservations.commands import RollBusinessDate
from innkeeper.protocol.reservations.night_audit import AuditedBooking, AuditList, ClosedDate
from innkeeper.protocol.reservations.queries import PreviewNightAudit
from innkeeper.protocol.reservations.replies import NightAuditReply
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.limits import audit_list_bookings_max, check_out_balance_seconds_max

Night = date  # a field that is called `date` hides the type of this name
_audit_request = msgspec.json.Decoder(NightAuditRequest)


class AuditListResource(msgspec.Struct, frozen=True, gc=False):
    """How many bookings there are of one kind, and the first 100 of them."""

    count: int
    bookings: tuple[AuditedBooking, ...]


class ClosedDateResource(msgspec.Struct, frozen=True, gc=False):
    """A business date that a night audit closed or would close, and the bookings that it changed: guests who did not
    come, who were due out and stayed, who have no room any more; holds that ended; the number of waitlist entries that
    lapsed."""

    date: Night
    early: bool
    no_shows: AuditListResource
    overstays: AuditListResource
    unassigned: AuditListResource
    holds_expired: AuditListResource
    waitlist_lapsed: int


class OpenBalancesResource(msgspec.Struct, frozen=True, gc=False):
    """The first 100 open balances of one side, and whether there are more."""

    more: bool
    bookings: list[OpenBalanceResource]


class AuditedBalancesResource(msgspec.Struct, frozen=True, gc=False):
    """Who has left and owes something, and who has paid more than all nights and charges cost."""

    owed_by_guests: OpenBalancesResource
    owed_to_guests: OpenBalancesResource


class NightAuditResource(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a night audit did: the business date that it opened, the dates that it closed, and the number of bookings
    that it changed in all; null where that is too long ago. `open_balances` are null while billing does not answer.
    With `dry_run` nothing was done, and there are the time at which the date is over, the guests in house whose night
    is to be posted, and the arrivals of the next date whose room is not clean."""

    hotel: str
    business_date: Night
    no_shows: int | None
    overstays: int | None
    holds_expired: int | None
    waitlist_lapsed: int | None
    closed: list[ClosedDateResource]
    open_balances: AuditedBalancesResource | None
    dry_run: bool = False
    over_at: datetime | None = None
    unposted: AuditListResource | None = None
    arrivals_not_clean: AuditListResource | None = None


async def audit_night(request: web.Request) -> web.Response:
    """POST /v1/hotels/{hotel}/night-audit"""
    query, asked = query_of(request, NightAuditQuery), await body_of(request, _audit_request)
    hotel = request.match_info["hotel"]
    message = RollBusinessDate(hotel, asked.to, asked.date_, asked.early, asked.confirm_clock)
    if query.dry_run and asked.to is not None:
        raise invalid("to", "dry_run", "a dry run shows the audit of one date: give date, or nothing")
    preview = PreviewNightAudit(hotel, asked.date_, asked.early)
    reply, headers = await ask(request, preview if query.dry_run else message, NightAuditReply)
    shown = _audit(reply, await _open_balances(request, hotel))
    return json_response(msgspec.structs.replace(shown, dry_run=query.dry_run), headers=headers)


async def _open_balances(request: web.Request, hotel: str) -> AuditedBalancesResource | None:
    """Who owes something; None where billing does not answer in time."""
    try:
        async with asyncio.timeout(check_out_balance_seconds_max):
            return AuditedBalancesResource(
                await _open_balances_of(request, hotel, OpenBalanceSide.OWED_BY_GUEST),
                await _open_balances_of(request, hotel, OpenBalanceSide.OWED_TO_GUEST),
            )
    except (Refused, TimeoutError):
        return None


async def _open_balances_of(request: web.Request, hotel: str, side: OpenBalanceSide) -> OpenBalancesResource:
    query = ListOpenBalances(hotel, side, limit=audit_list_bookings_max)
    reply, _ = await ask_billing(request, query, OpenBalancesReply)
    return OpenBalancesResource(reply.more, [open_balance(one, reply.currency) for one in reply.balances])


def _audit(reply: NightAuditReply, open_balances: AuditedBalancesResource | None) -> NightAuditResource:
    """The resource of a night audit."""
    closed = [_closed_date(one) for one in reply.closed]

    def count(of: Callable[[ClosedDateResource], int]) -> int | None:
        return sum(map(of, closed)) if reply.known else None

    shown = NightAuditResource(
        reply.hotel, reply.business_date, count(lambda one: one.no_shows.count),
        count(lambda one: one.overstays.count), count(lambda one: one.holds_expired.count),
        count(lambda one: one.waitlist_lapsed), closed, open_balances,
    )  # fmt: skip
    if (preview := reply.preview) is None:
        return shown
    return msgspec.structs.replace(
        shown, over_at=instant(preview.over_at), unposted=_audit_list(preview.unposted),
        arrivals_not_clean=_audit_list(preview.arrivals_not_clean),
    )  # fmt: skip


def _closed_date(closed: ClosedDate) -> ClosedDateResource:
    report = closed.report
    return ClosedDateResource(
        closed.day, closed.early, _audit_list(report.no_shows), _audit_list(report.overstays),
        _audit_list(report.unassigned), _audit_list(report.holds_expired), report.waitlist_lapsed,
    )  # fmt: skip


def _audit_list(found: AuditList) -> AuditListResource:
    return AuditListResource(found.count, found.bookings)
