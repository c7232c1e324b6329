"""A relay on a real outbox, with a transport that does what a test says."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

from innkeeper.actors.notifications.outbox_relay import OutboxRelay
from innkeeper.actors.subscriptions.load_meter import LoadMeter
from innkeeper.protocol.messages.refusals import Refused, Unavailable
from innkeeper.protocol.notifications.notices import HotelFacts, Notice, NoticeKind, Recipient, StayFacts
from innkeeper.protocol.ports.outbox import AddressReport, OutboxChanges, SendFailed, SettleNotice
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.storage.memory.database import MemoryDatabase
from innkeeper.storage.memory.outbox import MemoryOutbox

SECOND = 1_000_000
PAUSE_SECONDS = 10


def letter(id_: str, to: str = "ann@example.com", hotel: str = "seaside", **more: Any) -> Notice:
    """A confirmation for this address, unless another kind is given."""
    facts = HotelFacts(hotel, "Seaside", "Europe/Lisbon", "EUR", "15:00", "11:00")
    stay = StayFacts(guest="Ann", room_type="Double", arrival=date(2026, 6, 2), departure=date(2026, 6, 3), adults=1,
                     prices=(10_000,))  # fmt: skip
    return Notice(id=id_, hotel=facts, booking="b", locator="L", stay=stay, recipient=Recipient("Ann", to),
                  **({"kind": NoticeKind.CONFIRMATION} | more))  # fmt: skip


class MailOutbox:
    """A relay on a real outbox, with a transport that records the notices that it gets, or fails with an error."""

    def __init__(self) -> None:
        self.now = SECOND
        self.delivered: list[str] = []
        self.attempted: list[str] = []
        self.errors: dict[str, list[Exception]] = {}
        self.crashes_after: set[str] = set()
        self.load = LoadMeter(lambda: 0.0)
        self.after_each: Callable[[], None] = lambda: None
        self.batches: list[int] = []
        self.reports: list[AddressReport] = []
        self.reservations_is_away = self.reservations_hangs = False
        self.failing_hotels: set[str] = set()  # which fail at each report about their guests
        self.synced: list[str] = []  # of the delivered, those that were on disk as such
        self._database = MemoryDatabase()
        self.open()

    def open(self) -> None:
        """Start the relay, for the first time or after a crash."""
        self.outbox = MemoryOutbox(self._database, "mail")
        self.relay = OutboxRelay(
            "mail",
            self.outbox,
            self._send,
            self._sync,
            self._report,
            lambda attempts: PAUSE_SECONDS * attempts,
            lambda: self.now,
            self.load,
        )

    async def _report(self, report: AddressReport) -> None:
        if self.reservations_hangs:
            await asyncio.Event().wait()
        if self.reservations_is_away:
            raise Stalled("reservations is away")
        if report.hotel in self.failing_hotels:
            raise Refused(Unavailable("the command failed", hotel_failed=True))
        self.reports.append(report)

    async def _sync(self) -> None:
        self.synced = [notice for notice in self.delivered if not self.outbox.is_waiting(notice)]

    async def _send(self, notices: Iterable[Notice], settle: SettleNotice) -> None:
        taken = list[str]()
        for notice in notices:
            taken.append(notice.recipient.email)
            self.attempted.append(notice.id)
            await asyncio.sleep(0)
            if self.errors.get(notice.id):
                error = self.errors[notice.id].pop(0)
                settle(notice, error)
                if isinstance(error, SendFailed) and error.unreachable:
                    break
                continue
            self.delivered.append(notice.id)
            if notice.id in self.crashes_after:
                self.crashes_after.remove(notice.id)
                raise asyncio.CancelledError
            settle(notice, None)
            self.after_each()
        assert len(taken) == len(set(taken)), "two letters to one address at once"
        self.batches.append(len(taken))

    def store_notices(self, *notices: Notice, withdrawn: Sequence[str] = ()) -> None:
        """Store notices as notifications does, and withdraw others."""
        self.outbox.store(OutboxChanges(notices=notices, withdrawn=withdrawn))

    def send_due(self) -> None:
        """Send all letters that can be sent now."""

        async def send() -> None:
            while await self.relay.step():
                pass

        asyncio.run(send())
