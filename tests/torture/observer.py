"""Observes a data directory: starts the program on it, asks for everything that can be seen, and sees whether the
program still works: retries, a new booking with its folio, letter and webhook, and what falls due in the next days."""

import asyncio
import faulthandler
import gc
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cache
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import Any

import msgspec
from aiohttp import ClientResponse, ClientSession
from innkeeper.actors.partition.partition import Partition
from innkeeper.delivery.email.smtp import SmtpServer
from innkeeper.http.app import make_app
from innkeeper.http.serving import serving
from innkeeper.protocol.values.operator_error import OperatorError
from innkeeper.storage.data_directory import DataDirectory
from support.gateway import load_run
from support.smtp_server import RecordingSmtpServer
from torture.history import HILLSIDE, SEASIDE, History

_SETTLE_SECONDS = 2.0  # longer than any effect takes on a busy machine; only the undamaged twin needs it
_PATIENCE_SECONDS, _NO_PATIENCE_SECONDS = 10.0, 0.1  # the latter once something is wrong
_END_SECONDS_MAX, _HANG_SECONDS_MAX = 60.0, 120.0
_POLL_SECONDS = 0.01
_LATER_DAYS = 3  # after which holds have expired, nights were closed, and reminders are sent
LOGS = ("reservations", "billing", "delivery")

Answers = dict[str, Any]


class Observation(msgspec.Struct):
    """What was seen: the answers to requests; the message and exit code with which the program ended, if it did; its
    warnings; and faults, which it should never have: tracebacks, and what did not end."""

    answers: Answers = {}
    message: str = ""
    exit_code: int = 0
    warnings: list[str] = []
    faults: list[str] = []


def observe(data: Path, history: History, mail: RecordingSmtpServer, expected: Answers) -> Observation:
    """Observe this data directory, which it changes. `expected` are the answers of an undamaged one, which tell what to
    ask and for what to wait; nothing where this is the undamaged one."""
    found, run = Observation({}, warnings=[], faults=[]), _run()
    mail.letters.clear()
    faulthandler.dump_traceback_later(_HANG_SECONDS_MAX, exit=True)
    with _recording(found):
        try:
            run.run_async(_serve(run, data, history, mail, expected, found))
        except OperatorError as error:
            found.message, found.exit_code = str(error), error.exit_code
        except Exception as error:
            found.faults.append(f"it ended with {error!r}")
        gc.collect()  # so that errors that nobody has asked for are logged now
    faulthandler.cancel_dump_traceback_later()
    return found


_run = cache(load_run)


@contextmanager
def _recording(found: Observation) -> Iterator[None]:
    """Records what the program logs, and the errors of its threads."""

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[0] is not None:
                found.faults.append(f"a traceback: {record.getMessage()}: {record.exc_info[1]!r}")
            else:
                found.warnings.append(record.getMessage())

    recorder, hook, logger = Recorder(logging.WARNING), threading.excepthook, logging.getLogger()
    logger.addHandler(recorder)
    threading.excepthook = lambda args: found.faults.append(f"a thread ended with {args.exc_value!r}")
    try:
        yield
    finally:
        logger.removeHandler(recorder)
        threading.excepthook = hook


async def _serve(
    run: ModuleType, data: Path, history: History, mail: RecordingSmtpServer, expected: Answers, found: Observation
) -> None:
    start, later = monotonic(), 0

    def clock() -> int:
        return history.now + round(1e6 * (1 + monotonic() - start)) + later

    async def look(parts: Any) -> None:
        nonlocal later
        app = make_app(parts, integrations.providers, simulated_clocks=True)
        async with serving(app, "127.0.0.1", 0) as port, ClientSession(f"http://127.0.0.1:{port}") as session:
            observer = _Observer(session, history, mail, expected, found.answers)
            await observer.read_everything()
            await observer.retry_requests()
            await observer.book()
            later = _LATER_DAYS * 86_400_000_000
            await observer.wait_for_days()
            await _all_checked()

    DataDirectory(data).installation()
    options = {"smtp": SmtpServer.parse(f"smtp://127.0.0.1:{mail.port}")} if mail.port else {}
    integrations = run.Integrations(
        webhooks_to_loopback=True, simulated_payments=True, mail_from="desk@example.com", **options
    )
    async with asyncio.timeout(_END_SECONDS_MAX), run.running(data, integrations, clock) as parts:
        await run.first_of(parts.ended(), look(parts))


async def _all_checked() -> None:
    """Wait until the partitions have checked all their events, which they do beside their work."""
    check = Partition._check.__qualname__
    tasks = [task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "") == check]
    if tasks:
        await asyncio.wait(tasks)


class _Observer:
    """Sends requests, and writes down the answers."""

    def __init__(
        self, session: ClientSession, history: History, mail: RecordingSmtpServer, expected: Answers, answers: Answers
    ) -> None:
        self._session = session
        self._history = history
        self._mail = mail
        self._expected = expected
        self._answers = answers
        self._hook = ""
        self._patience = _PATIENCE_SECONDS

    async def _ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        async with self._session.request(method, path, json=body, headers=headers, allow_redirects=False) as response:
            return await _answer(response)

    async def _get(self, path: str) -> Any:
        """GET, written down."""
        answer = self._answers[f"GET {path}"] = await self._ask("GET", path)
        if answer != self._expected.get(f"GET {path}", answer) and answer["status"] != HTTPStatus.SERVICE_UNAVAILABLE:
            self._patience = _NO_PATIENCE_SECONDS
        return answer

    async def _settled(self, name: str, look: Callable[[], Awaitable[Any]]) -> None:
        """Write down what `look` sees once it is as expected; where nothing is expected, once it changes no more."""
        begun = since = monotonic()
        seen, is_known = await look(), name in self._expected
        while not (seen == self._expected[name] if is_known else monotonic() - since > _SETTLE_SECONDS):
            if monotonic() - begun > self._patience:
                self._patience = _NO_PATIENCE_SECONDS
                break
            await asyncio.sleep(_POLL_SECONDS)
            now = await look()
            seen, since = now, since if now == seen else monotonic()
        self._answers[name] = seen

    async def read_everything(self) -> None:
        """All GET routes, for every hotel, booking, folio, payment, invoice, waitlist entry and webhook."""
        await self._settled("GET /v1/subscribers", lambda: self._ask("GET", "/v1/subscribers"))
        if self._expected:
            for name in self._expected:
                method, _, path = name.partition(" ")
                if method == "GET" and name not in self._answers:
                    await self._get(path)
        else:
            await self._crawl()

    async def _crawl(self) -> None:
        logs = (f"/v1/events?limit=200&log={log}&after={after}" for log in LOGS for after in (0, 200))
        for path in ("/health/ready", "/v1/dead-letters", *logs):
            await self._get(path)
        for webhook in await self._list("/v1/webhooks"):
            for query in ("", "/deliveries?limit=200", "/deliveries?limit=200&failed=true"):
                await self._get(f"/v1/webhooks/{webhook['id']}{query}")
        for hotel in await self._list("/v1/hotels?limit=200"):
            await self._crawl_hotel(f"/v1/hotels/{hotel['id']}", self._history.today)

    async def _list(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._get(path))["body"]["data"]
        return found

    async def _crawl_hotel(self, hotel: str, today: date) -> None:
        day = [str(today + timedelta(days=number)) for number in range(-4, 30)]
        for query in (
            *(f"availability?arrival={day[n]}&departure={day[n + 2]}" for n in range(4, 30, 5)),
            f"tape-chart?from={day[0]}&to={day[30]}", "billing", "notifications", "ledger",
            *(f"bookings?status={status}" for status in ("confirmed", "held", "cancelled", "in_house", "released")),
            *(f"bookings?q={word}" for word in ("ann", "almeida", "guest3", "waiting", "lopes", "nobody")),
            "bookings?room_type=STE", "bookings?room=105", "bookings?limit=7", "bookings?limit=7&cursor=40",
            f"bookings?arrival_from={day[6]}&arrival_to={day[12]}",
            *(f"events?limit=200&log={log}&hotel={hotel.rpartition('/')[2]}" for log in LOGS),
        ):  # fmt: skip
            await self._get(f"/v1/{query}" if query.startswith("events") else f"{hotel}/{query}")
        await self._get(hotel)
        for invoice in await self._list(f"{hotel}/invoices"):
            for form in ("", "?format=html"):
                await self._get(f"{hotel}/invoices/{invoice['number']}{form}")
        for entry in await self._list(f"{hotel}/waitlist"):
            await self._get(f"{hotel}/waitlist/{entry['id']}")
        for booking in await self._list(f"{hotel}/bookings?limit=200"):
            path = f"{hotel}/bookings/{booking['id']}"
            for part in ("", "/history", "/invoices"):
                await self._get(path + part)
            bill = await self._get(f"{path}/folio")
            payments = (line["payment"] for folio in bill["body"]["folios"] for line in folio["lines"])
            for payment in dict.fromkeys(filter(None, payments)):
                await self._get(f"{hotel}/payments/{payment}")

    async def retry_requests(self) -> None:
        """Each request of the history again: it gets the same reply. And a key with another body, which is refused."""
        for number, request in enumerate(self._history.requests):
            answer = await self._ask(request.method, request.path, request.body, str(number))
            is_same = (answer["status"], answer["body"]) == (request.status, request.answer)
            self._answers[f"RETRY {number} {request.method} {request.path}"] = is_same or answer
        self._answers["a used key"] = (await self._ask("POST", f"{SEASIDE}/bookings", {}, "20"))["status"]

    async def book(self) -> None:
        """A booking in each hotel: it gets a folio, a place in the lists, a letter, and is sent to the webhook."""
        hooks = (await self._ask("GET", "/v1/webhooks"))["body"].get("data", ())
        self._hook = next((hook["id"] for hook in hooks if hook["url"].endswith("/hook")), "none")
        for hotel in (SEASIDE, HILLSIDE):
            day = self._history.today
            body = {
                "room_type": "DBL", "arrival": str(day + timedelta(days=6)), "departure": str(day + timedelta(days=8)),
                "guest": {"name": "Xaver Newcomer", "email": "newcomer@example.com"},
            }  # fmt: skip
            booked = await self._ask("POST", f"{hotel}/bookings", body)
            self._answers[f"a new booking in {hotel}"] = _facts(booked["body"])
            path = f"{hotel}/bookings/{booked['body'].get('id', 'none')}"
            await self._settled(f"its effects in {hotel}", lambda hotel=hotel, path=path: self._effects(hotel, path))

    async def _effects(self, hotel: str, booking: str) -> Any:
        folio = await self._ask("GET", f"{booking}/folio")
        listed = await self._ask("GET", f"{hotel}/bookings?q=newcomer")
        sent = await self._ask("GET", f"/v1/webhooks/{self._hook}/deliveries?limit=50")
        events = await self._ask("GET", f"{booking}/history")
        ids = {event["id"] for event in events["body"].get("data", ())}
        return {
            "folio": folio["body"].get("charged", folio["status"]),
            "listed": _listed(listed),
            "sent": sorted(
                f"{one['type']}: {one['status']}" for one in sent["body"].get("data", ()) if one["event"] in ids
            ),
            "letters": self._letters(),
        }

    def _letters(self) -> list[str]:
        return sorted(f"{letter['To']}: {letter['Subject']}" for letter in self._mail.letters)

    async def wait_for_days(self) -> None:
        """After some days holds have expired, nights are closed, letters that were due later are sent."""
        for hotel in (SEASIDE, HILLSIDE):  # a partition that is asked looks at the clock
            body = {"room_type": "DBL", "arrival": str(self._history.today + timedelta(days=20)),
                    "departure": str(self._history.today + timedelta(days=21)),
                    "guest": {"name": "Yara Later", "email": "later@example.com"}}  # fmt: skip
            booked = await self._ask("POST", f"{hotel}/bookings", body)
            self._answers[f"a later booking in {hotel}"] = _facts(booked["body"])
        await self._settled("some days later", self._later)

    async def _later(self) -> Any:
        state: Answers = {"letters": self._letters()}
        for hotel in (SEASIDE, HILLSIDE):
            bookings = await self._ask("GET", f"{hotel}/bookings?limit=200")
            state[hotel] = _listed(bookings)
            ledger = await self._ask("GET", f"{hotel}/ledger")
            state[f"{hotel}/ledger"] = ledger["body"].get("accounts", ledger["status"])
        for name in ("subscribers", "dead-letters"):
            page = (await self._ask("GET", f"/v1/{name}"))["body"].get("data", ())
            state[name] = [_without(one, "positions", "attempts", "since", "trace", "retry_at") for one in page]
        return state


async def _answer(response: ClientResponse) -> dict[str, Any]:
    text = await response.read()
    body: Any = (
        msgspec.json.decode(text) if "json" in response.content_type else {"text": text.decode(errors="replace")}
    )
    if response.status >= 400:
        body.pop("request_id", None)
    kept = ("etag", "location", "idempotent-replayed")
    headers = {name: response.headers[name] for name in kept if name in response.headers}
    return {"status": response.status, "body": body, "headers": headers}


def _facts(booking: dict[str, Any]) -> Any:
    """What two equal bookings have in common that were made at different instants."""
    names = ("locator", "status", "room", "rooms", "arrival", "departure", "price", "version", "code", "detail")
    return {name: booking.get(name) for name in names} | {"guest": (booking.get("guest") or {}).get("name")}


def _listed(page: dict[str, Any]) -> Any:
    """The facts of the bookings in a list, or the status of a refusal."""
    return [*map(_facts, page["body"]["data"])] if "data" in page["body"] else page["status"]


def _without(one: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name not in names}


def verify(data: Path) -> str:
    """Let `verify` check this data directory; what it ended with, if that is neither a report nor a clear message."""
    try:
        _run().verified_directory(data)
    except OperatorError as error:
        return "" if "\n" not in str(error) else f"verify ended with {error!r}"
    except Exception as error:
        return f"verify ended with {error!r}"
    return ""
