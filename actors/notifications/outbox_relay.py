"""Sends the notices in the outbox when they are due.

Notices to one address are sent in the order in which they were decided. One that cannot be sent is retried with growing
pauses, and becomes a dead letter when no attempt succeeds for days, or when its address takes no letters. That is
reported to reservations, which owns the address; later notices of such a booking become dead letters without an
attempt, until its guest has another address. Notices are marked as sent only after they were sent, those of a batch in
one transaction: a crash in between sends the same ones again, and no others, because that is on disk before the next
batch is sent.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from time import perf_counter

from innkeeper.actors.subscriptions.background_task import ListedTask
from innkeeper.actors.subscriptions.load_meter import UNLOADED, LoadMeter
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.ports.outbox import (
    AddressReport,
    DueNotice,
    Outbox,
    ReportAddress,
    SendFailed,
    SendNotices,
)
from innkeeper.protocol.ports.subscriptions import DeadLetter, Stalled, SubscriberState
from innkeeper.protocol.values.limits import (
    address_report_retry_seconds,
    address_reports_at_once_max,
    letter_failing_seconds_max,
    letter_silence_seconds_max,
    letters_at_once_max,
    letters_gather_seconds,
    letters_per_batch_max,
)

logger = logging.getLogger(__name__)

_REPORT_PATIENCE_SECONDS = 1


class OutboxRelay(ListedTask):
    """The background task that sends what is in the outbox. `sync` brings to disk what was marked; `report` sends
    reservations a report about an address; `pause_seconds` is the pause after so many attempts."""

    follows_events = False
    gather_seconds = letters_gather_seconds

    def __init__(
        self,
        name: str,
        outbox: Outbox,
        send: SendNotices,
        sync: Callable[[], Awaitable[None]],
        report: ReportAddress,
        pause_seconds: Callable[[int], float],
        clock: Callable[[], int],
        load: LoadMeter = UNLOADED,
    ) -> None:
        super().__init__(name, clock, load)
        self._outbox = outbox
        self._send = send
        self._sync = sync
        self._report = report
        self._pause_seconds = pause_seconds
        self._sent: list[str] = []  # sent, or of no use any more, but not marked so yet
        self._withdrawals = outbox.withdrawals  # when the batch was read
        self._reports: list[AddressReport] = []  # of the sent ones
        self._report_at = 0  # when the next reports are tried
        self._reporting: asyncio.Task[bool] | None = None
        self._answered: float | None = None  # when the mail server last answered, while letters are being sent

    async def run(self) -> None:
        """Runs steps until the task is stopped. What is being reported then is reported again later."""
        try:
            await super().run()
        finally:
            if self._reporting is not None:
                self._reporting.cancel()
                await asyncio.wait({self._reporting})

    async def step(self) -> bool:
        """Sends a batch of due notices; returns whether there were any. Raises `Stalled` where nothing can be sent
        now."""
        self._mark_sent()  # what could not be marked in the step before, as while the disk is full
        if self._outbox.paused:
            return False
        has_reported = await self._send_reports()
        self._withdrawals = self._outbox.withdrawals
        at_most = letters_at_once_max if self.steps_back else letters_per_batch_max
        batch = {due.notice.id: due for due in self._outbox.due(self.clock(), at_most)}
        failures: dict[str, Exception] = {}
        self._answered = perf_counter()
        try:
            await self._send_in_order(batch, failures)
        finally:
            self._answered = None
            self._mark_sent()
        await self._sync()
        await self._mark_failed(batch, failures)
        self.has_caught_up = len(batch) < at_most
        return has_reported or bool(batch)

    async def _send_in_order(self, batch: Mapping[str, DueNotice], failures: dict[str, Exception]) -> None:
        """Sends the first notice to each address, then the second to each whose first does not have to be retried, and
        so on."""
        settled = set[str]()

        def settle(notice: Notice, error: Exception | None) -> None:
            self._answered = perf_counter()
            if error is None:
                self._sent.append(notice.id)
                if _is_refused(batch[notice.id]):
                    self._reports.append(_report(notice, ""))
            else:
                failures[notice.id] = error
            if error is None or (isinstance(error, SendFailed) and error.permanent):
                settled.add(notice.id)

        waiting = [one.notice for one in batch.values() if not self._is_given_up(one)]
        while waiting and not any(map(_is_unreachable, failures.values())):
            first: dict[str, Notice] = {}
            for notice in waiting:
                first.setdefault(notice.recipient.email, notice)
            await self._send(self._still_wanted(first.values(), settled), settle)
            done = {address for address, notice in first.items() if notice.id in settled}
            waiting = [
                notice
                for notice in waiting
                if notice.recipient.email in done and notice.id != first[notice.recipient.email].id
            ]

    def _is_given_up(self, due: DueNotice) -> bool:
        """Whether the notice is not sent, because its guest's address takes no letters; it is a dead letter then."""
        if due.redriven or not _is_refused(due):
            return False
        reason = f"not sent: the guest's address refused an earlier letter ({due.refused})"
        self._outbox.mark_unsent(due.notice.id, reason, self.clock())
        return True

    def _still_wanted(self, notices: Iterable[Notice], settled: set[str]) -> Iterator[Notice]:
        """The notices that were not withdrawn while others were sent, and are still useful."""
        for notice in notices:
            if 0 < notice.useful_until < self.clock():
                logger.info("%s of %s is not sent: it is no longer useful", notice.kind.value, notice.booking)
                self._sent.append(notice.id)
                settled.add(notice.id)
            elif self._outbox.withdrawals == self._withdrawals or self._outbox.is_waiting(notice.id):
                yield notice
            else:
                settled.add(notice.id)

    def _mark_sent(self) -> None:
        if self._sent:
            self._outbox.mark_sent(self._sent, self._reports)
            self._sent.clear()
            self._reports.clear()

    async def _mark_failed(self, batch: Mapping[str, DueNotice], failures: dict[str, Exception]) -> None:
        """Records the failed attempts. Raises `Stalled` where one of them says that nothing can be sent now."""
        for id_, error in failures.items():
            if not isinstance(error, SendFailed):
                logger.error("the notice %s cannot be sent", id_, exc_info=error)
            if not _is_unreachable(error) or (isinstance(error, SendFailed) and error.at_letter):
                await self._write(partial(self._record_attempt, batch[id_], error))
        for error in filter(_is_unreachable, failures.values()):
            raise Stalled(str(error)) from error

    def _record_attempt(self, due: DueNotice, error: Exception) -> None:
        attempts, at = due.attempts + 1, self.clock()
        reason, is_dead = repr(error), at - (due.since or at) >= letter_failing_seconds_max * 1_000_000
        report: AddressReport | None = None
        if isinstance(error, SendFailed):
            reason, is_dead = str(error), is_dead or error.permanent
            if error.permanent and due.notice.is_to_guest and not _is_refused(due):
                report = _report(due.notice, error.reply)
        retry_at = None if is_dead else at + round(self._pause_seconds(attempts) * 1e6)
        self._outbox.mark_failed(due.notice.id, reason, at, retry_at, report)
        logger.warning("the notice %s was not sent (attempt %d): %s", due.notice.id, attempts, reason)

    async def _send_reports(self) -> bool:
        """Sends the waiting reports to reservations; returns whether any was sent. Letters wait for it only briefly."""
        if self._reporting is None:
            if self.clock() < self._report_at or not self._outbox.reports(1):
                return False
            self._reporting = asyncio.create_task(self._report_all(), name=f"{self.name} reports")
            self._reporting.add_done_callback(lambda _: self.wake())
        done, _ = await asyncio.wait({self._reporting}, timeout=_REPORT_PATIENCE_SECONDS)
        if not done:
            return False
        ended, self._reporting = self._reporting, None
        return ended.result()

    async def _report_all(self) -> bool:
        """Sends all reports; returns whether any was sent. Where a hotel does not take one, its later ones wait too."""
        waiting = set[str]()
        last, has_reported = 0, False
        while reports := self._outbox.reports(address_reports_at_once_max, last):
            for last, report in reports:
                if report.hotel in waiting:
                    continue
                try:
                    await self._report(report)
                except Exception as error:
                    self._report_later(report.hotel, error)
                    if isinstance(error, Stalled):
                        return False
                    waiting.add(report.hotel)
                else:
                    self._outbox.remove_report(last)
                    has_reported = True
        return has_reported

    def _report_later(self, hotel: str, error: Exception) -> None:
        self._report_at = self.clock() + address_report_retry_seconds * 1_000_000
        message = f"addresses are reported later, as those of {hotel}: {error}"
        if self._logged.is_due(message):
            logger.warning("%s", message)

    def due_at(self) -> int | None:
        """See `ListedTask`."""
        if self._outbox.paused:
            return None
        due_at = self._outbox.next_due_at()
        if self._reporting is None and self._outbox.reports(1):
            due_at = self._report_at if due_at is None else min(due_at, self._report_at)
        return due_at

    def state(self) -> SubscriberState:
        """See `ListedTask`. `lag` is how many notices are overdue, and how many reports are not sent."""
        waiting, dead = self._outbox.count(self.clock())
        stalled = self.stalled or self._silence()
        return SubscriberState(self.name, (), {}, waiting, self._outbox.paused, dead, stalled)

    def _silence(self) -> str:
        """Says that the mail server has not answered for some time, while it does not."""
        seconds = 0.0 if self._answered is None else perf_counter() - self._answered
        return f"no answer for {seconds:.0f} s" if seconds > letter_silence_seconds_max else ""

    def pause(self, paused: bool) -> None:
        """See `ListedTask`."""
        self._outbox.pause(paused)

    def dead_letters(self) -> list[DeadLetter]:
        """See `ListedTask`."""
        return self._outbox.dead_letters()

    def redrive(self, event: str, drop: bool) -> DeadLetter | None:
        """See `ListedTask`. A notice that is no longer useful is retried too."""
        return self._outbox.redrive(event, drop)


def _is_refused(due: DueNotice) -> bool:
    return bool(due.refused) and due.notice.is_to_guest


def _report(notice: Notice, reply: str) -> AddressReport:
    email = notice.recipient.email
    return AddressReport(notice.id, notice.hotel.id, notice.guest, notice.booking, email, notice.kind.value, reply)


def _is_unreachable(error: Exception) -> bool:
    return isinstance(error, SendFailed) and error.unreachable
