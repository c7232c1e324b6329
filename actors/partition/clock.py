"""The server's clock, checked against one that only counts; rules and tests are given another.

A clock on the wall can jump: somebody sets it, a time server is wrong, a virtual machine starts with another date. What
a jumped clock says would close business dates and stamp holds with a time that is not theirs. So the time goes on by
the counting clock from before the jump, until the clock on the wall is right again or somebody confirms it.
"""

import logging
import time
from collections.abc import Callable, Container, Sequence

from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.limits import clock_jump_seconds_max, clock_quiet_days_max
from innkeeper.protocol.values.server_time import ServerTime
from msgspec.structs import replace

logger = logging.getLogger(__name__)

_JUMP = clock_jump_seconds_max * 1_000_000
_QUIET = clock_quiet_days_max * 86_400 * 1_000_000
_COUNTING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # it counts on while the machine sleeps


def clock() -> int:
    """The clock on the wall: microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


def counting_clock() -> int:
    """Microseconds since the machine started, whatever is done to the clock on the wall."""
    return time.clock_gettime_ns(_COUNTING) // 1_000


class ServerClock:
    """The time of a server: that of the clock on the wall, as long as it agrees with the counting one."""

    def __init__(self, wall: Callable[[], int] = clock, counting: Callable[[], int] = counting_clock) -> None:
        self._wall, self._counting = wall, counting
        self._agreed = wall(), counting()
        self.doubt = ""

    def __call__(self) -> int:
        """Microseconds since 1970 UTC. Never jumps, except when the clock on the wall is confirmed."""
        wall, counted = self._wall(), self._counting()
        expected = self._agreed[0] + counted - self._agreed[1]
        if -_JUMP <= wall - expected <= _JUMP:
            self._agreed = wall, counted
            if self.doubt:
                self.doubt = ""
                logger.info("the server's clock is right again: it shows %s", _shown(wall))
            return wall
        if not self.doubt:
            self.doubt = f"the server's clock jumped: it shows {_shown(wall)}, where {_shown(expected)} was expected"
            logger.error(
                "%s; night audits wait until it is right again or is confirmed, and the time goes on from before the"
                " jump", self.doubt
            )  # fmt: skip
        return expected

    @property
    def wall(self) -> int:
        """What the clock on the wall shows, right or wrong."""
        return self._wall()

    def confirm(self) -> None:
        """Takes the time of the clock on the wall as right from now on."""
        self._agreed = self._wall(), self._counting()
        if self.doubt:
            self.doubt = ""
            logger.warning("the server's clock is confirmed: it shows %s", _shown(self._agreed[0]))


def checked(time: Callable[[], int]) -> Callable[[], int]:
    """The clock on the wall as a `ServerClock`; any other clock, such as that of a test, as it is."""
    return ServerClock() if time is clock else time


class ClockWatch:
    """The time of one host: its clock, which never goes back, and what is known of it. Only a `ServerClock` notices a
    jump while the server runs; one while it was down is noticed by the time of the last event."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._checked = clock if isinstance(clock, ServerClock) else None
        self._last_at = 0
        self._start = ServerTime()

    def start(self, last_event_at: int) -> None:
        """Notes when the last event was recorded before the start; 0 where there is none."""
        at, doubt = self._clock(), ""
        if last_event_at and not _is_soon_after(last_event_at, at):
            order = "before" if at < last_event_at else "long after"
            doubt = (
                f"the server's clock shows {_shown(at)} at the start, {order} the last event, {_shown(last_event_at)}"
            )
            logger.warning("%s; night audits wait until it is right or is confirmed", doubt)
        self._start = ServerTime(doubt, last_event_at, at)

    @property
    def doubt(self) -> str:
        """Why the clock is in doubt; empty where it is not."""
        return (self._checked is not None and self._checked.doubt) or self._start.doubt

    def now(self) -> int:
        """Microseconds since 1970 UTC, never before an earlier time."""
        return max(self._clock(), self._last_at)

    def stamp(self, envelopes: Sequence[Envelope], known: Container[int] = ()) -> tuple[int, ServerTime]:
        """The instant of a batch, and what is known of the time. One of its commands may confirm the clock, unless it
        is one of those, by their numbers, whose result is `known` already."""
        at, server = self._clock(), self._start
        if server.doubt or (self._checked is not None and self._checked.doubt):
            if self._was_set_right() or _confirmed(envelopes, known):
                at = self._confirm()
            server = replace(self._start, doubt=self.doubt)
        self._last_at = at = max(at, self._last_at)
        return at, server

    def _was_set_right(self) -> bool:
        """Whether a clock that was wrong at the start shows a time that fits the last event now."""
        shown = self._clock() if self._checked is None else self._checked.wall
        return bool(self._start.doubt) and _is_soon_after(self._start.down_from, shown)

    def _confirm(self) -> int:
        if self._checked is not None:
            self._checked.confirm()
        self._start = replace(self._start, doubt="")
        self._last_at = 0
        return self._clock()


def _is_soon_after(last_event_at: int, at: int) -> bool:
    return -_JUMP <= at - last_event_at <= _QUIET


def _confirmed(envelopes: Sequence[Envelope], known: Container[int]) -> bool:
    confirming = (number for number, one in enumerate(envelopes) if getattr(one.message, "confirm_clock", False))
    return any(number not in known for number in confirming)


def _shown(at: int) -> str:
    return instant(at).isoformat(timespec="seconds").replace("+00:00", "Z")
