"""The services that send events to the outside: delivery (payments, archive, webhooks), and the broker's publisher."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import partial
from typing import NamedTuple, Protocol

from innkeeper.actors.cluster.parts import Parts
from innkeeper.actors.delivery.event_writer import EventWriter
from innkeeper.actors.subscriptions.service import Handlers, Service, ServicePorts
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.messages.service_message import ServiceMessage
from innkeeper.protocol.ports.journal import Journal
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.service_store import DeliveryStore, ServiceStore
from innkeeper.protocol.ports.subscriptions import (
    EVERY_EVENT,
    Effects,
    EventHandler,
    EventLog,
    Subscribers,
    SubscriptionRequest,
)
from innkeeper.protocol.values.contexts import BILLING, DELIVERY, context_of

AskService = Callable[[ServiceMessage], Awaitable[Reply]]
PublishEvent = Callable[[str, Event, str], None]

_PAYMENTS_AT_ONCE = 16  # so many a crash repeats at the providers at most, under the same ids


class MessageHandlers(Protocol):
    """An adapter that handles messages to the service."""

    @property
    def handlers(self) -> Handlers:
        """Its methods, by the class of the message."""


class PaymentsAdapter(MessageHandlers, Protocol):
    """The adapter to the payment providers."""

    async def handle(self, entries: Sequence[LogEntry]) -> Effects:
        """Carries out what billing's events request; see `EventHandler`."""


class DeliveryPorts(NamedTuple):
    """What delivery needs: its database, the journal and the log of its own events, and its adapters. Payments get the
    bus of billing, and the way to send this service the notifications of providers; webhooks get the way to publish
    an event, the stored endpoints, and where to subscribe them to which logs."""

    open_store: Callable[[str], AbstractContextManager[DeliveryStore]]
    open_journal: Callable[[], Journal]
    open_log: Callable[[], AbstractContextManager[EventLog]]
    open_archive: Callable[[], EventHandler]
    payment_event_types: tuple[str, ...]
    open_payments: Callable[[MessageBus, AskService], PaymentsAdapter]
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
        payments = ports.open_payments(parts.buses[BILLING], service.ask)
        request = SubscriptionRequest("payments", ports.payment_event_types)
        service.subscribe(request, payments.handle, batch_events=_PAYMENTS_AT_ONCE)
        service.subscribe(SubscriptionRequest("archive", EVERY_EVENT), ports.open_archive())
        async with ports.open_webhooks(writer.publish, store, service, service.logs) as webhooks:
            yield {**payments.handlers, **webhooks.handlers}

    await parts.start(Service(DELIVERY, parts.service_ports(DELIVERY, ports.open_store), open_handlers))


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
