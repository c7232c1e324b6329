"""All that an installation stores, as one engine stores it. What is in no log and no database of a service (which
installation it is) is part of it, too."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from innkeeper.protocol.ports.inbox import Inbox
from innkeeper.protocol.ports.journal import Journal
from innkeeper.protocol.ports.service_store import DeliveryStore, NotificationStore, ServiceStore
from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.ports.views import FollowingViews
from innkeeper.protocol.values.installation import Installation


class Storage(Protocol):
    """Opens what an installation stores; each caller closes what it has opened. What is opened for the first time is
    created, except an event log, whose journal must be there."""

    def installation(self, name: str | None = None, partitions: int | None = None) -> Installation:
        """Returns the installation, which is made with this name and number of partitions where nothing is stored yet.
        Raises OperatorError where another name or number is set."""

    def journals(self) -> set[str]:
        """Returns the names of the logs that have a journal."""

    def locator_key(self) -> bytes:
        """Returns the secret from which the locators of bookings follow. It is made where no hotel is stored yet, and
        stays. Raises JournalError where it is lost."""

    def journal(self, log: str) -> Journal:
        """Opens the journal of this log to write. Raises JournalError; JournalRolledBack where it had more before."""

    def journal_as_found(self, log: str) -> Journal:
        """Opens the journal of this log to verify it, although it may have had more before. Raises JournalError."""

    def differences(self) -> list[str]:
        """Returns a message for each journal that is missing, and for each service that has seen of a journal what it
        does not have. Nobody else uses what is stored, of which all rows beside the journals are checked: raises
        JournalError."""

    def event_log(self, log: str) -> AbstractContextManager[EventLog]:
        """Opens the journal of this log to read."""

    def views(self, log: str, events: EventLog) -> AbstractContextManager[FollowingViews]:
        """Opens the read models of this log of reservations, whose events they read from `events`."""

    def service_store(self, name: str) -> AbstractContextManager[ServiceStore]:
        """Opens the database of this service."""

    def notification_store(self, name: str, relay: str) -> AbstractContextManager[NotificationStore]:
        """Opens the database of notifications; `relay` is the subscriber that the outbox's dead letters name."""

    def delivery_store(self, name: str) -> AbstractContextManager[DeliveryStore]:
        """Opens the database of delivery."""

    def inbox(self, name: str, logs: Mapping[str, EventLog]) -> Inbox:
        """Opens the inbox of this service for events of these logs, from which it reads what the broker misses."""
