"""The outbox of notifications in memory, in its service's database beside its cursor."""

from collections.abc import Iterable, Sequence
from itertools import count

import msgspec
from innkeeper.protocol.notifications.notices import Notice
from innkeeper.protocol.notifications.unsent import UnsentLetter
from innkeeper.protocol.ports.outbox import AddressReport, DueNotice, OutboxChanges
from innkeeper.protocol.ports.subscriptions import DeadLetter
from innkeeper.storage.memory.database import MemoryDatabase


class StoredNotice(msgspec.Struct, frozen=True):
    """A notice that was not sent yet. `number` is its place in the order of decision; a dead letter has no `due_at`."""

    number: int
    notice: Notice
    due_at: int | None
    attempts: int = 0
    reason: str = ""
    since: int = 0
    redriven: bool = False


class MemoryOutbox:
    """Implements `protocol.ports.outbox.Outbox` in memory."""

    def __init__(self, database: MemoryDatabase, name: str) -> None:
        """`name` is the subscriber that its dead letters name."""
        self.withdrawals = 0
        self._database = database
        self._name = name
        self._hotels, self._bookings = database.table("hotels"), database.table("bookings")
        self._notices, self._sending = database.table("notices"), database.table("sending")
        self._reports = database.table("address_reports")
        self._report_numbers = count(max(self._reports, default=0) + 1)
        self._numbers = count(max((one.number for one in self._notices.values()), default=0) + 1)

    def hotels(self, ids: Iterable[str]) -> dict[str, bytes]:
        """See `Outbox`."""
        return {id_: self._hotels[id_] for id_ in ids if id_ in self._hotels}

    def bookings(self, ids: Iterable[str]) -> dict[str, bytes]:
        """See `Outbox`."""
        return {id_: self._bookings[id_].body for id_ in ids if id_ in self._bookings}

    def bookings_of(self, guests: Iterable[str]) -> dict[str, bytes]:
        """See `Outbox`."""
        wanted = {*guests}
        return {id_: kept.body for id_, kept in self._bookings.items() if kept.guest in wanted}

    def store(self, changes: OutboxChanges) -> None:
        """See `Outbox`."""
        self.withdrawals += bool(changes.withdrawn or changes.erased)
        with self._database.transaction():
            self._hotels.update(changes.hotels)
            self._bookings.update(changes.bookings)
            of_erased = [one.notice.id for one in self._notices.values() if one.notice.booking in changes.erased]
            for id_ in (*changes.withdrawn, *of_erased):
                self._notices.pop(id_, None)
            for number in [number for number, one in self._reports.items() if one.booking in changes.erased]:
                del self._reports[number]
            for notice in changes.notices:
                if notice.id not in self._notices:
                    self._notices[notice.id] = StoredNotice(next(self._numbers), notice, notice.due_at)

    def due(self, at: int, limit: int) -> list[DueNotice]:
        """See `Outbox`."""
        free = self._not_blocked()
        at_once = [one for one in free if one.due_at == 0][:limit]
        scheduled = sorted((one for one in free if one.due_at and one.due_at <= at), key=lambda one: one.due_at or 0)
        wanted = sorted([*at_once, *scheduled[:limit]], key=lambda one: one.number)
        return [
            DueNotice(one.notice, one.attempts, one.since, self._refused(one.notice.booking), one.redriven)
            for one in wanted[:limit]
        ]

    def _refused(self, booking: str) -> str:
        return self._bookings[booking].refused if booking in self._bookings else ""

    def _not_blocked(self) -> list[StoredNotice]:
        """The notices that are not dead letters, without those to an address to which an earlier one has failed."""
        found, blocked = list[StoredNotice](), set[str]()
        for one in self._in_order():
            if one.due_at is not None and one.notice.recipient.email not in blocked:
                found.append(one)
                if one.attempts:
                    blocked.add(one.notice.recipient.email)
        return found

    def count(self, at: int) -> tuple[int, int]:
        """See `Outbox`."""
        due_at = [one.due_at for one in self._notices.values()]
        waiting = sum(due is not None and due <= at for due in due_at) + len(self._reports)
        return waiting, due_at.count(None)

    @property
    def paused(self) -> bool:
        """See `Outbox`."""
        return bool(self._sending.get("paused", False))

    def pause(self, paused: bool) -> None:
        """See `Outbox`."""
        self._sending["paused"] = paused

    def next_due_at(self) -> int | None:
        """See `Outbox`."""
        return min((one.due_at for one in self._not_blocked() if one.due_at is not None), default=None)

    def unsent(self, booking: str) -> list[UnsentLetter]:
        """See `Outbox`."""
        return [
            UnsentLetter(one.notice.id, one.notice.kind.value, one.due_at, one.attempts, one.reason, one.since)
            for one in self._in_order()
            if one.notice.booking == booking
        ]

    def is_waiting(self, notice: str) -> bool:
        """See `Outbox`."""
        return notice in self._notices

    def mark_sent(self, notices: Sequence[str], reports: Sequence[AddressReport] = ()) -> None:
        """See `Outbox`."""
        for report in reports:
            self._add_report(report)
        for notice in notices:
            self._notices.pop(notice, None)

    def mark_failed(
        self, notice: str, reason: str, at: int, retry_at: int | None, report: AddressReport | None = None
    ) -> None:
        """See `Outbox`."""
        self._mark(notice, reason, at, retry_at, attempts=1)
        if report is not None:
            self._add_report(report)

    def mark_unsent(self, notice: str, reason: str, at: int) -> None:
        """See `Outbox`."""
        self._mark(notice, reason, at, None, attempts=0)

    def _add_report(self, report: AddressReport) -> None:
        if report.notice in self._notices:
            self._reports[next(self._report_numbers)] = report

    def _mark(self, notice: str, reason: str, at: int, retry_at: int | None, attempts: int) -> None:
        if (was := self._notices.get(notice)) is not None:
            self._notices[notice] = msgspec.structs.replace(
                was,
                due_at=retry_at,
                reason=reason,
                attempts=was.attempts + attempts,
                since=was.since or at,
                redriven=was.redriven and retry_at is not None,
            )

    def reports(self, limit: int, after: int = 0) -> list[tuple[int, AddressReport]]:
        """See `Outbox`."""
        return sorted((number, report) for number, report in self._reports.items() if number > after)[:limit]

    def remove_report(self, number: int) -> None:
        """See `Outbox`."""
        self._reports.pop(number, None)

    def dead_letters(self) -> list[DeadLetter]:
        """See `Outbox`."""
        dead = sorted((one for one in self._in_order() if one.due_at is None), key=lambda one: one.since)
        return [self._dead_letter(one) for one in dead]

    def redrive(self, notice: str, drop: bool = False) -> DeadLetter | None:
        """See `Outbox`."""
        was = self._notices.get(notice)
        if was is None or was.due_at is not None:
            return None
        if drop:
            self.mark_sent([notice])
        else:
            always_useful = msgspec.structs.replace(was.notice, useful_until=0)
            self._notices[notice] = msgspec.structs.replace(
                was, notice=always_useful, due_at=0, attempts=0, since=0, redriven=True
            )
        return self._dead_letter(was)

    def _in_order(self) -> list[StoredNotice]:
        return sorted(self._notices.values(), key=lambda one: one.number)

    def _dead_letter(self, one: StoredNotice) -> DeadLetter:
        kind = one.notice.kind.value
        return DeadLetter(
            self._name, one.notice.hotel.id, one.notice.id, kind, one.reason, "", one.attempts, one.since, None
        )
