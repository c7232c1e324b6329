"""The stores of services: each service has a database of its own, with the cursors of its subscribers."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.event_outbox import EventOutbox
from innkeeper.protocol.ports.journal import StoredReply
from innkeeper.protocol.ports.outbox import Outbox
from innkeeper.protocol.ports.payment_operations import PaymentOperations
from innkeeper.protocol.ports.subscriptions import Cursor, EventLog, SubscriptionRequest
from innkeeper.protocol.ports.webhook_store import WebhookStore

Keep = Callable[[Reply], None]
"""Keeps the reply to a message, where its request has an idempotency key."""

Transaction = Callable[[], AbstractContextManager[Keep]]
"""Opens the transaction in which the effects of a message and its reply are written: all or none."""


class ServiceStore(Protocol):
    """The database of a service. For the event loop that opened it.

    What is written outlives the process at once. What must also outlive a loss of power needs a `sync` before a
    reply or a letter depends on it.

    What an `Effects` writes through the store while a cursor of the same store moves (see `Cursor.move`) is on disk
    together with the new position, or not at all."""

    def open_cursor(self, request: SubscriptionRequest, log_name: str, log: EventLog) -> Cursor:
        """Opens the cursor of the request's subscriber in this log, or creates it."""

    def transaction(self) -> AbstractContextManager[object]:
        """Opens a transaction: all that is written in it is stored at its end, or nothing where it raises. One that is
        opened within another is a part of it; what it raises is to end the other too."""

    def check_lock(self) -> None:
        """Raises JournalLocked where another process holds the lock of the database now. What writes raises that too;
        nothing here waits for it."""

    async def sync(self) -> None:
        """Waits until all that was written before the call is on disk. Raises `JournalError`: then it is unknown what
        is on disk, and each later call raises it again until the store is opened anew."""

    @property
    def is_erasing(self) -> bool:
        """Whether something is left of forgotten guests: `finish_erasing` is to be called."""

    async def finish_erasing(self) -> None:
        """Removes what is left of forgotten guests in the database. A reader may be in the way: then there is still
        something left, and it is to be called again. Raises JournalError."""

    def kept_reply(self, key: str) -> StoredReply | None:
        """Returns the reply that was given under this idempotency key, or None."""

    def keep_reply(self, reply: StoredReply) -> None:
        """Stores a reply, sealed: it may hold a secret."""

    def remove_replies(self, before: int, limit: int) -> None:
        """Removes the oldest replies from before this instant (microseconds since 1970 UTC), at most so many."""


class NotificationStore(ServiceStore, Protocol):
    """The database of notifications."""

    @property
    def outbox(self) -> Outbox:
        """The notices, and what is known of their hotels and bookings."""


class DeliveryStore(ServiceStore, Protocol):
    """The database of delivery."""

    @property
    def payment_operations(self) -> PaymentOperations:
        """What payment providers are to carry out."""

    @property
    def webhooks(self) -> WebhookStore:
        """The endpoints with their secrets, state and latest attempts."""

    @property
    def event_outbox(self) -> EventOutbox:
        """The events that are to be published in delivery's own log."""
