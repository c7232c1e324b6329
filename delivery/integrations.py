"""Where what leaves the building may go, and the ways there."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from innkeeper.delivery.brokers.brokers import publisher
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.mail_transport import FolderCourier, mailbox
from innkeeper.delivery.email.smtp import SmtpCourier, SmtpServer
from innkeeper.delivery.payments.payments import Notify, SimulatedProvider
from innkeeper.delivery.webhooks.signing import fresh_secret
from innkeeper.protocol.billing.payments import Provider
from innkeeper.protocol.ports.outbox import SendNotice

MAIL_FROM = "reservations@localhost"
LOCAL = "local"
SIMULATED = "simulated"


class IntegrationError(ValueError):
    """What was asked for cannot be; why, and which option says so."""


class Integrations(NamedTuple):
    """As it was chosen. A `broker` is a URL; without one events go from process to process."""

    archive: str = ""
    webhooks_to_loopback: bool = False
    simulated_payments: bool = False
    smtp: SmtpServer | None = None
    mail_from: str = MAIL_FROM
    broker: str = ""

    @classmethod
    def chosen(cls, options: Any) -> "Integrations":
        """As the command line says, as far as it says anything. Raises NoWayOut."""
        said = {name: value for name, value in vars(options).items() if name in cls._fields and value}
        try:
            mailbox(said.get("mail_from", MAIL_FROM))
            if "smtp" in said:
                if "mail_from" not in said:
                    raise ValueError("nobody said which address letters come from")
                said["smtp"] = SmtpServer.parse(said["smtp"])
        except ValueError as error:
            raise IntegrationError(f"no mail can be sent: {error}; see --smtp and --mail-from") from None
        if said.get("broker") == LOCAL:
            del said["broker"]
        try:
            publisher(said["broker"]) if "broker" in said else None
        except ValueError as error:
            raise IntegrationError(f"no events can be published: {error}; see --broker") from None
        return cls(**said)

    @property
    def providers(self) -> tuple[str, ...]:
        """Who can be asked for a payment."""
        return (SIMULATED,) if self.simulated_payments else ()


@asynccontextmanager
async def mail_transport(
    outside: Integrations, templates: Path, folder: Path, clock: Callable[[], int]
) -> AsyncIterator[SendNotice]:
    """Who carries letters: to the mail server, or into a folder where there is none."""
    letters = Letters(templates)
    if outside.smtp is None:
        yield FolderCourier(folder, letters, outside.mail_from, clock)
        return
    carrying = SmtpCourier(outside.smtp, letters, outside.mail_from, clock)
    try:
        yield carrying
    finally:
        await carrying.close()


def providers(outside: Integrations, secret: Path, notify: Notify, clock: Callable[[], int]) -> dict[str, Provider]:
    """Who can be asked for money. What the simulated one signs with stands in a file; `notify` hears of news."""
    if not outside.simulated_payments:
        return {}
    if not secret.exists():
        secret.touch(0o600)
        secret.write_text(fresh_secret())
    return {SIMULATED: SimulatedProvider(SIMULATED, secret.read_text(), notify, clock)}
