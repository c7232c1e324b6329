"""The server's clock against one that only counts: a jump is noticed, and the time goes on from before it."""

import logging
from typing import Any

import pytest
from innkeeper.actors.partition.clock import ClockWatch, ServerClock, clock, counting_clock
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.reservations.commands import RollBusinessDate

NOON = 1_780_315_200_000_000
SECOND, HOUR, DAY = 1_000_000, 3_600_000_000, 86_400_000_000
CONFIRM = [Envelope(RollBusinessDate("seaside", confirm_clock=True))]


class Times:
    """A clock on the wall, and one that only counts."""

    def __init__(self) -> None:
        self.wall, self.counted = NOON, 7 * HOUR
        self.clock = ServerClock(lambda: self.wall, lambda: self.counted)

    def pass_time(self, microseconds: int) -> int:
        """Let time pass; the time of the server."""
        self.wall += microseconds
        self.counted += microseconds
        return self.clock()


def watch(times: Times, last_event_at: int = 0) -> ClockWatch:
    """A watch of a server that has just started."""
    made = ClockWatch(times.clock)
    made.start(last_event_at)
    return made


@pytest.mark.parametrize("jump", [365 * DAY, HOUR, 121 * SECOND, -121 * SECOND, -DAY])
def test_a_jump_is_noticed_and_the_time_goes_on(jump: int, caplog: pytest.LogCaptureFixture) -> None:
    times = Times()
    times.wall += jump
    with caplog.at_level(logging.INFO):
        assert times.pass_time(3 * SECOND) == NOON + 3 * SECOND
        assert times.pass_time(3 * SECOND) == NOON + 6 * SECOND
        assert "jumped" in times.clock.doubt
        times.wall -= jump
        assert times.pass_time(SECOND) == NOON + 7 * SECOND
    assert times.clock.doubt == ""
    assert len(caplog.records) == 2  # one line when it jumps, and one when it is right again


@pytest.mark.parametrize("step", [0, 1 * SECOND, -1 * SECOND, 119 * SECOND])
def test_a_clock_that_is_corrected_a_little_is_followed(step: int) -> None:
    times = Times()
    for number in range(1, 100):
        times.wall += step
        assert times.pass_time(HOUR) == NOON + number * (HOUR + step)
    assert times.clock.doubt == ""


def test_a_machine_that_sleeps_does_not_jump() -> None:
    times = Times()
    assert times.pass_time(9 * DAY) == NOON + 9 * DAY  # the counting clock counts on meanwhile
    assert times.clock.doubt == ""


def test_a_confirmed_clock_is_followed_from_then_on() -> None:
    times = Times()
    watched = watch(times)
    times.wall += DAY
    assert watched.stamp([])[0] == NOON
    at, server = watched.stamp(CONFIRM)
    assert (at, server.doubt) == (NOON + DAY, "")
    times.wall -= 2 * DAY
    assert watched.stamp([])[1].doubt
    assert watched.stamp(CONFIRM)[0] == NOON - DAY


def test_a_confirmation_that_was_answered_before_confirms_nothing_again() -> None:
    times = Times()
    watched = watch(times)
    times.wall += DAY
    at, server = watched.stamp(CONFIRM, known={0: Any})
    assert (at, bool(server.doubt)) == (NOON, True)


@pytest.mark.parametrize(("after", "doubted"), [(2 * DAY, False), (4 * DAY, True), (-HOUR, True), (-SECOND, False)])
def test_the_last_event_tells_of_a_jump_while_the_server_was_down(after: int, doubted: bool) -> None:
    watched = watch(Times(), NOON - after)
    assert bool(watched.doubt) is doubted
    assert watched.stamp([])[1].down_from == NOON - after


def test_a_new_server_has_no_last_event() -> None:
    assert watch(Times()).doubt == ""


def test_a_server_that_starts_with_a_wrong_clock_follows_it_when_it_is_set_right() -> None:
    times = Times()
    times.wall += 365 * DAY
    times.clock = ServerClock(lambda: times.wall, lambda: times.counted)
    watched = watch(times, NOON - HOUR)
    assert "long after" in watched.stamp([])[1].doubt
    times.wall -= 365 * DAY
    at, server = watched.stamp([])
    assert (at, server.doubt) == (NOON, "")


def test_the_clocks_of_this_machine_agree() -> None:
    before, counted = clock(), counting_clock()
    now = ServerClock()()
    assert before <= now <= before + 60 * SECOND
    assert counting_clock() >= counted
