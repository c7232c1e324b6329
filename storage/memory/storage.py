"""Everything that an installation stores, in memory: it is forgotten when the program ends."""

import secrets
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from innkeeper.protocol.ports.subscriptions import EventLog
from innkeeper.protocol.values.installation import DEFAULT_NAME, Installation
from innkeeper.protocol.values.operator_error import OperatorError
from innkeeper.storage.key_file import KEY_BYTES
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.inbox import MemoryInbox
from innkeeper.storage.memory.journal import JournalContents, MemoryEventLog, MemoryJournal
from innkeeper.storage.memory.service_store import MemoryDeliveryStore, MemoryNotificationStore, MemoryServiceStore
from innkeeper.storage.memory.views import MemoryViews


class MemoryStorage:
    """Implements `protocol.ports.storage.Storage`. What was opened and closed can be opened again."""

    def __init__(self, locator_key: bytes | None = None) -> None:
        """`locator_key` is a random one where it is not given."""
        self._locator_key = locator_key or secrets.token_bytes(KEY_BYTES)
        self._installation: Installation | None = None
        self._journals: defaultdict[str, JournalContents] = defaultdict(JournalContents)
        self._services: defaultdict[str, MemoryDatabase] = defaultdict(MemoryDatabase)
        self._inboxes: defaultdict[str, MemoryDatabase] = defaultdict(MemoryDatabase)

    def installation(self, name: str | None = None, partitions: int | None = None) -> Installation:
        """See `Storage`."""
        if self._installation is None:
            ids = secrets.token_hex(16), secrets.token_hex(16)
            self._installation = Installation(ids[0], name or DEFAULT_NAME, ids[1], partitions or 1)
        made = self._installation
        if name not in (None, made.name) or partitions not in (None, made.partitions):
            raise OperatorError(
                f"the installation {made.name!r} with {made.partitions} partitions cannot be changed to"
                f" {name or made.name!r} with {partitions or made.partitions}"
            )
        return made

    def locator_key(self) -> bytes:
        """See `Storage`."""
        return self._locator_key

    def journals(self) -> set[str]:
        """See `Storage`."""
        return set(self._journals)

    def journal(self, log: str) -> MemoryJournal:
        """See `Storage`."""
        return MemoryJournal(self._journals[log])

    journal_as_found = journal

    def differences(self) -> list[str]:
        """See `Storage`."""
        return []

    def event_log(self, log: str) -> AbstractContextManager[MemoryEventLog]:
        """See `Storage`."""
        return nullcontext(MemoryEventLog(self._journals[log]))

    def views(self, log: str, events: EventLog) -> AbstractContextManager[MemoryViews]:
        """See `Storage`."""
        return nullcontext(MemoryViews(log, events))

    def service_store(self, name: str) -> AbstractContextManager[MemoryServiceStore]:
        """See `Storage`."""
        return nullcontext(MemoryServiceStore(self._services[name]))

    def notification_store(self, name: str, relay: str) -> AbstractContextManager[MemoryNotificationStore]:
        """See `Storage`."""
        return nullcontext(MemoryNotificationStore(self._services[name], relay))

    def delivery_store(self, name: str) -> AbstractContextManager[MemoryDeliveryStore]:
        """See `Storage`."""
        return nullcontext(MemoryDeliveryStore(self._services[name]))

    def inbox(self, name: str, logs: Mapping[str, EventLog]) -> MemoryInbox:
        """See `Storage`."""
        return MemoryInbox(self._inboxes[name], logs)
