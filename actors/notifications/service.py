"""The service of notifications: decides which notices guests get, and sends them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import NamedTuple

from innkeeper.actors.cluster.parts import Parts
from innkeeper.actors.notifications.address_reports import reporting_to
from innkeeper.actors.notifications.event_handler import NOTIFICATIONS_EVENT_TYPES, NotificationsEventHandler
from innkeeper.actors.notifications.outbox_relay import OutboxRelay
from innkeeper.actors.subscriptions.service import Handlers, Service
from innkeeper.protocol.ports.outbox import SendNotices
from innkeeper.protocol.ports.service_store import NotificationStore
from innkeeper.protocol.ports.subscriptions import SubscriptionRequest
from innkeeper.protocol.values.contexts import NOTIFICATIONS, RESERVATIONS

RELAY = "mail"
"""The name of the relay among the subscribers."""


class NotificationsPorts(NamedTuple):
    """What notifications needs: its database, the mail transport, and the pause before a retry after so many attempts,
    in seconds."""

    open_store: Callable[[str], AbstractContextManager[NotificationStore]]
    open_transport: Callable[[], AbstractAsyncContextManager[SendNotices]]
    retry_seconds: Callable[[int], float]


async def start_notifications(parts: Parts, ports: NotificationsPorts) -> None:
    """Starts notifications in this process, or connects to it."""
    if not parts.runs(NOTIFICATIONS):
        if parts.has_gateway:
            parts.connect(NOTIFICATIONS)
        return

    @asynccontextmanager
    async def open_handlers(service: Service[NotificationStore], store: NotificationStore) -> AsyncIterator[Handlers]:
        async with ports.open_transport() as send:
            report = reporting_to(parts.buses[RESERVATIONS])
            relay = OutboxRelay(
                RELAY, store.outbox, send, store.sync, report, ports.retry_seconds, parts.clock, service.load
            )
            handler = NotificationsEventHandler(store.outbox, parts.clock, relay.notify)
            request = SubscriptionRequest(NOTIFICATIONS, NOTIFICATIONS_EVENT_TYPES, derivable=True)
            service.subscribe(request, handler.handle)
            service.add_task(relay)
            yield handler.handlers

    await parts.start(Service(NOTIFICATIONS, parts.service_ports(NOTIFICATIONS, ports.open_store), open_handlers))
