"""The external systems that an installation uses, and the adapters to them."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from innkeeper.delivery.archive.selection import archive_nothing, check_archive
from innkeeper.delivery.archive.selection import open_archive as archive_at
from innkeeper.delivery.archive.synced_files import write_whole
from innkeeper.delivery.brokers.selection import check_url, publisher
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.mail_transport import FolderMailTransport, UnsentMailTransport
from innkeeper.delivery.email.message import mailbox
from innkeeper.delivery.email.smtp import SmtpMailTransport, SmtpServer
from innkeeper.delivery.payments.payments import PAYMENT_EVENT_TYPES as PAYMENT_EVENT_TYPES
from innkeeper.delivery.payments.payments import Payments
from innkeeper.delivery.payments.selection import check_stripe, open_stripe
from innkeeper.delivery.payments.simulated import ReceiveNotification, SimulatedProvider
from innkeeper.delivery.webhooks.client import WebhookClient
from innkeeper.delivery.webhooks.signing import check_secret, fresh_secret
from innkeeper.delivery.webhooks.webhooks import Webhooks
from innkeeper.protocol.billing.payments import Provider
from innkeeper.protocol.codec.public_events import publicly
from innkeeper.protocol.messages.event import Event
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.ports.message_bus import MessageBus
from innkeeper.protocol.ports.outbox import SendNotices
from innkeeper.protocol.ports.service_store import DeliveryStore
from innkeeper.protocol.ports.subscriptions import EventHandler, EventLog, Subscribers
from innkeeper.protocol.values import contexts
from innkeeper.protocol.values.email_address import sender_address
from innkeeper.protocol.values.installation import Installation
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED, OperatorError

MAIL_FROM = "reservations@localhost"
LOCAL = "local"
SIMULATED, STRIPE = "simulated", "stripe"
ARCHIVE, BROKER = _RECEIVERS = "archive", "broker"


class IntegrationError(OperatorError):
    """The chosen integrations cannot be used; the message names the option."""


class SecretDamaged(IntegrationError):
    """The secret of a payment provider is not one."""

    exit_code = EXIT_DAMAGED


class Integrations(NamedTuple):
    """The chosen integrations. `archive` is a folder or URL, and `archive_form` the form of its files; an empty one
    depends on the URL. `broker` is a URL; without one, events are sent directly between processes. With `in_memory`
    nothing is written to disk. `actor_system` runs the actors. `guest_details` names the receivers that get the details
    of guests with the events, separated by commas: `archive`, `broker`. `stripe_key` is the secret key of a Stripe
    account, `stripe_webhook_secret` signs its notifications; `stripe_url` is another server that speaks its API."""

    archive: str = ""
    archive_form: str = ""
    webhooks_to_loopback: bool = False
    simulated_payments: bool = False
    stripe_key: str = ""
    stripe_webhook_secret: str = ""
    stripe_url: str = ""
    smtp: SmtpServer | None = None
    mail_from: str = MAIL_FROM
    broker: str = ""
    in_memory: bool = False
    actor_system: str = LOCAL
    guest_details: str = ""

    @classmethod
    def from_options(cls, options: Any) -> "Integrations":
        """The integrations that the command-line options select. Raises IntegrationError."""
        given = {name: value for name, value in vars(options).items() if name in cls._fields and value}
        try:
            mailbox(given.get("mail_from", MAIL_FROM), parse=sender_address)
            if "smtp" in given:
                if "mail_from" not in given:
                    raise ValueError("the sender's address is missing")
                given["smtp"] = SmtpServer.parse(given["smtp"])
        except ValueError as error:
            raise IntegrationError(f"no mail can be sent: {error}; see --smtp and --mail-from") from None
        if given.get("broker") == LOCAL:
            del given["broker"]
        try:
            check_url(given["broker"]) if "broker" in given else None
        except ValueError as error:
            raise IntegrationError(f"no events can be published: {error}; see --broker") from None
        try:
            check_archive(given.get("archive", ""), given.get("archive_form", ""))
        except ValueError as error:
            raise IntegrationError(f"no events can be archived: {error}; see --archive") from None
        try:
            check_stripe(*(given.get(f"stripe_{name}", "") for name in ("key", "webhook_secret", "url")))
        except ValueError as error:
            raise IntegrationError(f"no payments by Stripe: {error}; see --stripe-key") from None
        if unknown := {*given.get("guest_details", "").split(",")} - {"", *_RECEIVERS}:
            raise IntegrationError(f"{sorted(unknown)[0]!r} is no receiver of events; see --guest-details")
        return cls(**given)

    def to_receiver(self, name: str, handle: EventHandler) -> EventHandler:
        """The event handler of a receiver, which gets no details of guests unless it is set up to get them."""
        return handle if name in self.guest_details.split(",") else publicly(handle)

    @property
    def providers(self) -> tuple[str, ...]:
        """The names of the payment providers that are available."""
        chosen = ((SIMULATED, self.simulated_payments), (STRIPE, self.stripe_key))
        return tuple(name for name, is_chosen in chosen if is_chosen)


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
    publish: Callable[[str, Event, str], None],
    store: DeliveryStore,
    subscribers: Subscribers,
    logs: Mapping[str, EventLog],
) -> AsyncIterator[Webhooks]:
    """The endpoints of the store, subscribed to the logs. `publish` publishes an event about an endpoint."""
    async with WebhookClient(to_loopback=chosen.webhooks_to_loopback) as client:
        yield Webhooks(store.webhooks, subscribers, logs, client, clock, ids, publish)


@asynccontextmanager
async def open_publisher(chosen: Integrations, installation: Installation) -> AsyncIterator[EventHandler]:
    """The event handler that publishes to the broker; disconnects at the end."""
    opened = publisher(chosen.broker, installation)
    try:
        yield chosen.to_receiver(BROKER, opened.handle)
    finally:
        await opened.close()
