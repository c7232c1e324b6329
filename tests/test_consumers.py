"""Every consumer of events declares every event: it handles it, or ignores it by name (see `EventTable`).

The consumers are found in the source: a module that distinguishes types of events, in whatever way, has a table, and a
subscription is to the types that a table handles, or to every event.
"""

import ast
import asyncio
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from innkeeper.actors.billing.rules.double_entry import entries
from innkeeper.actors.billing.rules.payment_fold import payment_after
from innkeeper.actors.billing.rules.reservation_events import derive_events
from innkeeper.actors.billing.rules.state import LedgerState
from innkeeper.actors.billing.rules.state import evolve as evolve_ledger
from innkeeper.actors.notifications.rules.notices import handle
from innkeeper.actors.reservations.hold_payments import HOLD_PAYMENT_EVENT_TYPES, HoldPayments
from innkeeper.actors.reservations.rules.rooms import RoomState, RoomStates
from innkeeper.actors.reservations.rules.state import HotelState, evolve
from innkeeper.delivery.payments.payments import PAYMENT_EVENT_TYPES, Payments
from innkeeper.protocol.billing.events import PaymentEvent
from innkeeper.protocol.billing.transitions import KEEPING_STATUS, PAYMENT_TRANSITIONS
from innkeeper.protocol.codec import wire
from innkeeper.protocol.delivery.webhooks import WebhookPinged
from innkeeper.protocol.messages.event import Event, ForgettingEvent
from innkeeper.protocol.messages.event_table import EventTable, UndeclaredEvent
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT
from innkeeper.protocol.reservations.events import BookingEvent
from innkeeper.protocol.reservations.projection import BOOKING_PROJECTION, apply_event, apply_hotel_event
from innkeeper.protocol.reservations.transitions import ACTIONS, TRANSITIONS
from innkeeper.storage.audit.billing import BillingAuditor
from innkeeper.storage.audit.reservations import ReservationsAuditor
from innkeeper.storage.memory.views import MemoryViews
from innkeeper.storage.sqlite.read_model_file import Totals
from innkeeper.storage.sqlite.read_model_step import ReadModelStep
from support.recording_subscriber import GrowingLog

ROOT = Path(__file__).parents[1]
FOLDERS = ("protocol", "actors", "storage", "http", "delivery")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

# Modules that distinguish types of events without being a consumer, and why.
NOT_CONSUMERS = {
    "protocol.reservations.transitions": "the table of statuses; a test below holds it complete",
    "protocol.billing.transitions": "the table of statuses; a test below holds it complete",
    "actors.reservations.rules.changes": "makes an event with the fields that its class has",
    "delivery.archive.event_files": "archives every event; one type has names of files of its own",
    "actors.reservations.rules.decisions": "replies with what the event says that it has just decided",
    "actors.billing.rules.payment_news": "asks the table of statuses which event may follow",
    "actors.billing.rules.releases": "looks for one event among those that were just decided",
    "actors.reservations.rules.night_audit": "lists the events that it has just decided, for the report",
}

# The types of subscriptions that are not written as a name, and what they are.
TYPES_OF_SUBSCRIPTIONS = {
    "webhook.events": EVERY_EVENT,
    "ports.payment_event_types": PAYMENT_EVENT_TYPES,
    "types": HOLD_PAYMENT_EVENT_TYPES,
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {module_name(path): path for path in SOURCES if path.stem != "__init__"}


def events_below(kind: type[Event]) -> Iterator[type[Event]]:
    """The events of the program: the classes with a name of their own."""
    for below in kind.__subclasses__():
        if "name" in vars(below) and below.__module__.startswith("innkeeper."):
            yield below
        yield from events_below(below)


def tables() -> dict[str, EventTable[Any]]:
    """The tables of all modules, by their consumers."""
    modules = [import_module(f"innkeeper.{name}") for name in MODULES]
    found = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, EventTable)}
    by_consumer = {table.consumer: table for table in found.values()}
    assert len(by_consumer) == len(found), "two consumers have one name"
    return by_consumer


TABLES = tables()
ALL_EVENTS = frozenset(wire.ALL_EVENTS)
KINDS = {kind.name: kind for kind in ALL_EVENTS}


def test_all_events_of_the_logs_are_in_the_wire_table() -> None:
    in_no_log = {WebhookPinged}  # it is sent to one endpoint and written nowhere
    assert {*events_below(Event)} - in_no_log == ALL_EVENTS


@pytest.mark.parametrize("consumer", sorted(TABLES))
def test_a_consumer_handles_or_ignores_every_event(consumer: str) -> None:
    table = TABLES[consumer]
    expected = {kind for kind in ALL_EVENTS if kind.context not in table.not_followed}
    names = sorted(kind.__name__ for kind in expected - table.handles - table.ignores)
    assert not names, f"{consumer}: neither handled nor ignored by name: {', '.join(names)}"
    assert not table.handles & table.ignores, f"{consumer} handles and ignores the same event"
    assert table.handles | table.ignores == expected, f"{consumer} knows what is no event, or of a log it does not read"
    assert table.not_followed < {kind.context for kind in ALL_EVENTS}
    assert all(table[kind] is not None for kind in table.handles)
    assert all(table[kind] is None for kind in table.ignores)


_BASES = BookingEvent, ForgettingEvent
"""Bases that say only what an event has: a booking, or a guest to forget."""


class Distinctions(ast.NodeVisitor):
    """Collects the classes of events to which a module refers otherwise than to make an event or to annotate."""

    def __init__(self, module: object) -> None:
        self.module = module
        self.found: set[type[Event]] = set()
        self.has_table = False

    def event_class(self, node: ast.AST) -> type[Event] | None:
        value: Any = self.module
        try:
            for name in ast.unparse(node).split("."):
                value = getattr(value, name)
        except AttributeError:
            return None
        return value if isinstance(value, type) and issubclass(value, Event) and value is not Event else None

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func.value if isinstance(node.func, ast.Subscript) else node.func
        self.has_table |= ast.unparse(function) == "EventTable"
        children = [*node.args, *node.keywords]
        for child in children if self.event_class(function) or function is not node.func else [node.func, *children]:
            self.visit(child)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_arg(self, node: ast.arg) -> None:
        """Skips the annotation."""

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for child in [node.args, *node.body, *node.decorator_list]:
            self.visit(child)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 (the visitor's name for it)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for child in node.body:
            self.visit(child)

    def visit_Name(self, node: ast.Name) -> None:
        self.add(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.add(node)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Finds the names and public types of events too."""
        if isinstance(node.value, str) and node.value not in EVERY_EVENT:
            named = KINDS.get(node.value)
            self.found |= {named} if named is not None and self.is_foreign(named) else set()
            self.found |= wire.kinds_of((node.value,)) if node.value.startswith("innkeeper.") else set()

    def is_foreign(self, kind: type[Event]) -> bool:
        return kind.__module__ != vars(self.module)["__name__"]

    def add(self, node: ast.AST) -> None:
        kind = self.event_class(node)
        if kind is not None and kind not in _BASES and self.is_foreign(kind):
            self.found.add(kind)


def distinctions(name: str) -> Distinctions:
    found = Distinctions(import_module(f"innkeeper.{name}"))
    found.visit(ast.parse(MODULES[name].read_text()))
    return found


@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_distinguishes_types_of_events_has_a_table(name: str) -> None:
    found = distinctions(name)
    names = sorted(kind.__name__ for kind in found.found)
    if name in NOT_CONSUMERS:
        assert names, f"{name} need not be listed here any more"
    else:
        assert not names or found.has_table, f"{name} distinguishes {', '.join(names)} without an EventTable"


def test_other_ways_to_tell_types_apart_are_found() -> None:
    for source, expected in (
        ("def f(e): return isinstance(e, RoomMoved)", True),
        ("def f(e):\n match e:\n  case events.RoomMoved(): pass", True),
        ("f = {events.RoomMoved: 1}", True),
        ("def f(e): return type(e) is events.RoomMoved", True),
        ("f = (RoomMoved, 1)", True),
        ("def f(e): return e.name == 'booking.room_moved'", True),
        ("f = ('innkeeper.booking.*',)", True),
        ("def f(e: events.RoomMoved) -> RoomMoved: return RoomMoved('b', '1', '2', e)", False),
        ("class f: e: events.RoomMoved", False),
    ):
        found = Distinctions(import_module("support.event_names"))
        found.visit(ast.parse(source))
        assert bool(found.found) is expected, source


def test_subscriptions_are_to_the_events_that_a_table_handles_or_to_every_event() -> None:
    handled = {wire.type_names(table.handles): consumer for consumer, table in TABLES.items()}
    subscribers = set()
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "SubscriptionRequest":
                types = ast.unparse(node.args[1])
                value = TYPES_OF_SUBSCRIPTIONS.get(types) or vars(import_module(f"innkeeper.{name}"))[types]
                assert value == EVERY_EVENT or value in handled, f"{name} subscribes to {types}"
                subscribers.add(handled.get(value, ast.unparse(node.args[0])))
    assert subscribers == {
        "billing", "notifications", "payments", "'archive'", "the saga of paid holds", "subscriber", "_name(webhook)",
    }  # fmt: skip


def test_the_tables_of_statuses_have_every_event() -> None:
    assert {kind for _, kind in TRANSITIONS} == BOOKING_PROJECTION.handles
    assert {kind for _, kind in PAYMENT_TRANSITIONS} | KEEPING_STATUS == set(events_below(PaymentEvent))
    assert set(ACTIONS.values()) <= BOOKING_PROJECTION.handles


class GuestEvacuated(BookingEvent, frozen=True):
    """An event that no consumer knows."""


def test_an_event_that_a_consumer_does_not_know_is_an_error_and_never_nothing() -> None:
    record = RecordedEvent("inn", 1, 0, "", "", "", GuestEvacuated("b"))
    views = MemoryViews("reservations", GrowingLog())
    step = ReadModelStep(SimpleNamespace(totals=Totals()), {})  # type: ignore[arg-type]  # it fails before it reads a table
    payments = Payments(None, {})  # type: ignore[arg-type]  # it fails before it asks
    consumers: tuple[Callable[[], object], ...] = (
        lambda: evolve(HotelState(), record),
        lambda: RoomState("101").apply(GuestEvacuated("b")),
        lambda: RoomStates().apply(record.event),
        lambda: apply_event(None, record, "EUR"),
        lambda: apply_hotel_event(None, record),
        lambda: derive_events(LedgerState(), record, b""),
        lambda: entries(record.event),
        lambda: payment_after(None, record.event),  # type: ignore[arg-type]  # it fails before it reads the payment
        lambda: evolve_ledger(LedgerState(), record),
        lambda: handle(None, None, record),
        lambda: ReservationsAuditor().handle([record]),
        lambda: BillingAuditor().handle([record]),
        lambda: step.handle([(1, record)], b""),
        lambda: views._apply((1, record)),
        lambda: payments.operations([(1, record)]),
        lambda: asyncio.run(HoldPayments({}).handle([(1, record)])),
    )
    failed = []
    for consume in consumers:
        with pytest.raises(UndeclaredEvent, match="neither handles nor ignores GuestEvacuated") as error:
            consume()
        failed.append(str(error.value).partition(" neither")[0])
    assert {*failed} == TABLES.keys()
