"""The adapters to the external systems that an installation uses."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from innkeeper.delivery.archive.selection import archive_nothing
from innkeeper.delivery.archive.selection import open_archive as archive_at
from innkeeper.delivery.archive.synced_files import write_whole
from innkeeper.delivery.brokers.selection import publisher
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.mail_transport import FolderMailTransport, UnsentMailTransport
from innkeeper.delivery.email.smtp import SmtpMailTransport
from innkeeper.delivery.integrations import ARCHIVE, BROKER, SIMULATED, STRIPE, IntegrationError, Integrations
from innkeeper.delivery.payments.payments import PAYMENT_EVENT_TYPES as PAYMENT_EVENT_TYPES
from innkeeper.delivery.payments.payments import Payments
from innkeeper.delivery.payments.selection import open_stripe
from innkeeper.delivery.payments.simulated import ReceiveNotification, SimulatedProvider
from innkeeper.delivery.webhooks.client import WebhookClient
from innkeeper.delivery.webhooks.signing import check_secret, fresh_secret
from innkeeper.delivery.webhooks.webhooks import Webhooks
from innkeeper.protocol.billing.payments import Provider
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.ports.event_outbox import UnpublishedEvent
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.outbox import SendNotices
from innkeeper.protocol.ports.service_store import DeliveryStore
from innkeeper.protocol.ports.subscriptions import EventHandler, EventLog, Subscribers
from innkeeper.protocol.values import contexts
from innkeeper.protocol.values.installation import Installation
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED


class SecretDamaged(IntegrationError):
    """The secret of a payment provider is not one."""

    exit_code = EXIT_DAMAGED


@asynccontextmanager
async def mail_transport(
    chosen: Integrations, templates: Path, folder: Path, clock: Callable[[], int]
) -> AsyncIterator[SendNotices]:
    """Sends letters to the mail server, or writes them to a folder where no server is configured; in memory it only
    composes them."""
    letters = Letters(templates)
    if chosen.smtp is None:
        transport_of = UnsentMailTransport if chosen.in_memory else partial(FolderMailTransport, folder)
        yield transport_of(letters, chosen.mail_from, clock)
        return
    transport = SmtpMailTransport(chosen.smtp, letters, chosen.mail_from, clock)
    try:
        yield transport
    finally:
        await transport.close()


def providers(
    chosen: Integrations, secret: Path, notify: ReceiveNotification, clock: Callable[[], int]
) -> dict[str, Provider]:
    """The payment providers by name. The secret that the simulated one signs with is kept in the file `secret`, unless
    all is in memory; its notifications go to `notify`. Raises SecretDamaged."""
    if not chosen.simulated_payments:
        return {}
    if chosen.in_memory:
        return {SIMULATED: SimulatedProvider(SIMULATED, fresh_secret(), notify, clock)}
    if not secret.exists():
        write_whole(secret, fresh_secret().encode())
    return {SIMULATED: SimulatedProvider(SIMULATED, _read_secret(secret), notify, clock)}


def _read_secret(file: Path) -> str:
    """The secret in this file. Raises SecretDamaged."""
    try:
        secret = file.read_text("ascii")
        check_secret(secret)
    except (ValueError, Refused):
        raise SecretDamaged(f"{file} is damaged; restore it from the backup, or delete it to get another") from None
    return secret


def open_archive(chosen: Integrations, folder: Path, installation: Installation) -> EventHandler:
    """The event handler that archives every event: in this folder where no other place is configured, and nowhere if
    all is in memory then."""
    if chosen.in_memory and not chosen.archive:
        return archive_nothing

    def log_of(record: RecordedEvent) -> str:
        return contexts.log_of(record.event.context, record.hotel, installation.partitions)

    archive = archive_at(chosen.archive or str(folder), chosen.archive_form, log_of)
    return chosen.to_receiver(ARCHIVE, archive)


@asynccontextmanager
async def open_payments(
    chosen: Integrations,
    secret: Path,
    clock: Callable[[], int],
    installation: Installation,
    bus: MessageBus,
    notify: ReceiveNotification,
) -> AsyncIterator[Payments]:
    """The payment providers, connected to billing's message bus; see `providers`. Disconnects at the end."""
    opened = providers(chosen, secret, notify, clock)
    if not chosen.stripe_key:
        yield Payments(bus, opened)
        return
    account = chosen.stripe_key, chosen.stripe_webhook_secret, chosen.stripe_url
    async with open_stripe(*account, installation.id, clock) as stripe:
        yield Payments(bus, {**opened, STRIPE: stripe})


@asynccontextmanager
async def open_webhooks(
    chosen: Integrations,
    clock: Callable[[], int],
    ids: Callable[[], object],
    publish: Callable[[UnpublishedEvent], None],
    store: DeliveryStore,
    subscribers: Subscribers,
    logs: Mapping[str, EventLog],
) -> AsyncIterator[Webhooks]:
    """The endpoints of the store, subscribed to the logs. `publish` publishes an event about an endpoint, once the
    transaction in which it is called is on disk."""
    async with WebhookClient(to_loopback=chosen.webhooks_to_loopback) as client:
        yield Webhooks(store, subscribers, logs, client, clock, ids, publish)


@asynccontextmanager
async def open_publisher(chosen: Integrations, installation: Installation) -> AsyncIterator[EventHandler]:
    """The event handler that publishes to the broker; disconnects at the end."""
    opened = publisher(chosen.broker, installation)
    try:
        yield chosen.to_receiver(BROKER, opened.handle)
    finally:
        await opened.close()
