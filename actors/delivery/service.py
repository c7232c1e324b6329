"""The services that send events to the outside: delivery (payments, archive, webhooks), and the broker's publisher."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import partial
from typing import NamedTuple, Protocol

from innkeeper.actors.cluster.parts import Parts
from innkeeper.actors.delivery.event_relay import EventRelay
from innkeeper.actors.delivery.event_writer import EventWriter
from innkeeper.actors.delivery.payment_relay import PaymentRelay
from innkeeper.actors.subscriptions.background_task import BackgroundTask
from innkeeper.actors.subscriptions.service import Handlers, Service, ServicePorts
from innkeeper.protocol.messages.recorded_event import LogEntry, RecordedEvent
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.event_outbox import UnpublishedEvent
from innkeeper.protocol.ports.journal import Journal
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.payment_operations import PROVIDERS, PaymentOperation
from innkeeper.protocol.ports.service_store import DeliveryStore, ServiceStore
from innkeeper.protocol.ports.subscriptions import (
    EVERY_EVENT,
    Effects,
    EventHandler,
    EventLog,
    Subscribers,
    SubscriptionRequest,
    no_effects,
)
from innkeeper.protocol.values.contexts import BILLING, DELIVERY, context_of

AskService = Callable[[ServiceMessage], Awaitable[Reply]]
PublishEvent = Callable[[UnpublishedEvent], None]


class MessageHandlers(Protocol):
    """An adapter that handles messages to the service."""

    @property
    def handlers(self) -> Handlers:
        """Its methods, by the class of the message."""


class PaymentsAdapter(MessageHandlers, Protocol):
    """The adapter to the payment providers."""

    def operations(self, entries: Sequence[LogEntry]) -> list[PaymentOperation]:
        """What providers are to do after these events of billing."""

    async def carry_out(self, record: RecordedEvent) -> None:
        """Carries out the operation that follows from an event of billing; see `CarryOut`."""


class DeliveryPorts(NamedTuple):
    """What delivery needs: its database, the journal and the log of its own events, and its adapters. It runs the saga
    of paid holds beside them, which follows the events of these types. Payments get the
    bus of billing, and the way to send this service the notifications of providers; `retry_seconds` is the pause after
    so many attempts at one. Webhooks get the way to publish
    an event together with what is stored, their store, and where to subscribe them to which logs."""

    open_store: Callable[[str], AbstractContextManager[DeliveryStore]]
    open_journal: Callable[[], Journal]
    open_log: Callable[[], AbstractContextManager[EventLog]]
    open_archive: Callable[[], EventHandler]
    payment_event_types: tuple[str, ...]
    open_payments: Callable[[MessageBus, AskService], AbstractAsyncContextManager[PaymentsAdapter]]
    retry_seconds: Callable[[int], float]
    hold_payments: tuple[tuple[str, ...], Callable[[Mapping[str, MessageBus]], EventHandler]]
    open_webhooks: Callable[
        [PublishEvent, DeliveryStore, Subscribers, Mapping[str, EventLog]], AbstractAsyncContextManager[MessageHandlers]
    ]


class PublisherPorts(NamedTuple):
    """What the publisher needs: its database, and the client of the broker."""

    open_store: Callable[[str], AbstractContextManager[ServiceStore]]
    open_publisher: Callable[[], AbstractAsyncContextManager[EventHandler]]


async def start_delivery(parts: Parts, ports: DeliveryPorts) -> None:
    """Starts delivery in this process, or connects to it."""
    if not parts.runs(DELIVERY):
        if parts.has_gateway:
            remote = parts.connect(DELIVERY)
            parts.add_log(DELIVERY, remote.client, remote.log)
        return
    writer = EventWriter(ports.open_journal(), parts.clock)
    parts.exits.callback(writer.close)
    parts.add_log(DELIVERY, writer, parts.exits.enter_context(ports.open_log()))

    @asynccontextmanager
    async def open_handlers(service: Service[DeliveryStore], store: DeliveryStore) -> AsyncIterator[Handlers]:
        events = EventRelay(store.event_outbox, store.sync, writer, parts.clock)
        async with (
            _running(events),
            ports.open_payments(parts.buses[BILLING], service.ask) as payments,
            ports.open_webhooks(events.publish, store, service, service.logs) as webhooks,
        ):
            operations = store.payment_operations
            relay = PaymentRelay(
                PROVIDERS, operations, service.logs[BILLING], payments.carry_out, ports.retry_seconds, parts.clock
            )

            async def handle(entries: Sequence[LogEntry]) -> Effects:
                new = payments.operations(entries)

                def keep() -> None:
                    operations.add(new)
                    relay.notify()

                return keep if new else no_effects

            service.subscribe(SubscriptionRequest("payments", ports.payment_event_types), handle)
            service.add_task(relay)
            service.subscribe(SubscriptionRequest("archive", EVERY_EVENT), ports.open_archive())
            types, open_saga = ports.hold_payments
            service.subscribe(SubscriptionRequest("hold-payments", types), open_saga(parts.buses))
            yield {**payments.handlers, **webhooks.handlers}

    await parts.start(Service(DELIVERY, parts.service_ports(DELIVERY, ports.open_store), open_handlers))


@asynccontextmanager
async def _running(task: BackgroundTask) -> AsyncIterator[None]:
    """Runs the task until the end, which waits for its current step."""
    running = asyncio.create_task(task.run(), name=task.name)
    try:
        yield
    finally:
        task.stop()
        await running


async def start_publisher(parts: Parts, ports: PublisherPorts) -> None:
    """Starts the service that publishes the events of this process to a broker. Its name contains that of the part, so
    that the publishers of several processes have a cursor each."""
    logs = parts.local_logs
    if not logs:
        return
    names = parts.names if len(parts.names) == 1 else dict.fromkeys(map(context_of, parts.names))
    name, subscriber = "-".join(("publisher", *names)), "-".join(("broker", *names))

    @asynccontextmanager
    async def open_handlers(service: Service[ServiceStore], _: ServiceStore) -> AsyncIterator[Handlers]:
        async with ports.open_publisher() as handle:
            service.subscribe(SubscriptionRequest(subscriber, EVERY_EVENT), handle)
            yield {}

    store = partial(ports.open_store, name)
    service_ports = ServicePorts(logs, parts.commits, store, parts.clock, parts.load, local=frozenset(logs))
    await parts.start(Service(name, service_ports, open_handlers))
