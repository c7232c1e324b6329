"""The external systems that an installation uses, as the command-line options select them."""

from typing import Any, NamedTuple

from innkeeper.delivery.archive.selection import check_archive
from innkeeper.delivery.brokers.selection import check_url
from innkeeper.delivery.email.message import mailbox
from innkeeper.delivery.email.smtp import SmtpServer
from innkeeper.delivery.payments.selection import check_stripe
from innkeeper.protocol.codec.public_events import publicly
from innkeeper.protocol.ports.subscriptions import EventHandler
from innkeeper.protocol.values.email_address import sender_address
from innkeeper.protocol.values.operator_error import OperatorError

MAIL_FROM = "reservations@localhost"
LOCAL = "local"
SIMULATED, STRIPE = "simulated", "stripe"
ARCHIVE, BROKER = _RECEIVERS = "archive", "broker"


class IntegrationError(OperatorError):
    """The chosen integrations cannot be used; the message names the option."""


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
