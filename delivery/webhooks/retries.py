"""When an event that an endpoint did not accept is tried again, and whether the endpoint pauses meanwhile.

An endpoint that is away does not accept anything; an event that is wrong for it is refused alone. One attempt does not
show which: only another event that is accepted meanwhile does. So a hotel waits for its own event only, and the next
attempt is made with an event of another hotel, if there is one.

- Nothing was accepted since the event failed first, or another event has failed since: the endpoint may be away. It
  pauses, longer after each failure, and then events are tried in turn until one is accepted. None of these attempts
  counts as a refusal.
- Something was accepted since: the endpoint refuses this event. It is retried on the schedule of Standard Webhooks, and
  then becomes a dead letter that waits for a hand; the other hotels continue.
"""

import msgspec
from innkeeper.delivery.backoff import delay_seconds
from innkeeper.delivery.webhooks.client import PostOutcome
from innkeeper.protocol.delivery.webhooks import Webhook
from innkeeper.protocol.ports.subscriptions import ParkedEvent, Retry
from innkeeper.protocol.values.limits import (
    retry_after_seconds_max,
    webhook_failing_seconds_max,
    webhook_pause_seconds_max,
    webhook_retry_seconds,
)

_SECONDS = 1_000_000
_JITTER = 0.1  # of the pauses of the schedule
_THROTTLED = frozenset({429, 502, 503, 504})  # statuses of an endpoint under load (Standard Webhooks)
ATTEMPTS_MAX = len(webhook_retry_seconds) + 1


class FailedAttempt(msgspec.Struct, frozen=True):
    """What follows an attempt that failed: the state of the webhook, when the event is tried again, and for how long
    the endpoint is left alone (seconds)."""

    webhook: Webhook
    retry: Retry
    pause_seconds: float

    @property
    def given_up(self) -> bool:
        """Whether the event is not retried automatically."""
        return self.retry.seconds is None

    @property
    def is_new_dead_letter(self) -> bool:
        """Whether the schedule has just run out: an event that is redriven in vain stays the same dead letter."""
        return self.given_up and self.retry.refusals == ATTEMPTS_MAX

    def is_to_be_disabled(self, at: int) -> bool:
        """Whether the endpoint has accepted nothing for days, in which it was tried often: not only before and after
        the program was stopped or the clock was set."""
        since = self.webhook.failing_since
        if since is None or self.webhook.attempts < ATTEMPTS_MAX:
            return False
        return at - since > webhook_failing_seconds_max * _SECONDS


def failed_attempt(
    webhook: Webhook, parked: ParkedEvent | None, outcome: PostOutcome, at: int, chance: float
) -> FailedAttempt:
    """Decides what follows a failed attempt at the instant `at`. `parked` is what is known of the event from earlier
    attempts, `chance` (at least 0, less than 1) varies the pauses."""
    asked = outcome.retry_after_seconds
    is_refused_alone = parked is not None and parked.attempts > 0 and webhook.failing_since is None
    if is_refused_alone:
        assert parked is not None
        pause = _pause_seconds(1, outcome, chance)
        return FailedAttempt(webhook, _next_retry(max(parked.refusals, 1) + 1, asked, chance), pause)
    webhook = msgspec.structs.replace(webhook, attempts=webhook.attempts + 1, failing_since=webhook.failing_since or at)
    pause = _pause_seconds(webhook.attempts, outcome, chance)
    soon = _schedule_seconds(1, chance)
    seconds = min(soon, pause) if pause else soon  # the endpoint's pause counts, not the event's
    return FailedAttempt(webhook, Retry(0 if parked is None else parked.refusals, seconds), pause)


def _next_retry(refusals: int, asked: int | None, chance: float) -> Retry:
    if refusals >= ATTEMPTS_MAX:
        return Retry(refusals, None)
    return Retry(refusals, max(_schedule_seconds(refusals, chance), min(asked or 0, retry_after_seconds_max)))


def _schedule_seconds(attempt: int, chance: float) -> float:
    """The pause of the schedule after this attempt, counted from 1."""
    return webhook_retry_seconds[attempt - 1] * (1 + _JITTER * chance)


def _pause_seconds(failures: int, outcome: PostOutcome, chance: float) -> float:
    """How long the endpoint is left alone after so many failures in a row. After the first one an event of another
    hotel is tried at once, unless the endpoint is under load, or asks for a pause."""
    asked = outcome.retry_after_seconds
    if failures > 1:
        return delay_seconds(failures - 1, chance, asked, webhook_pause_seconds_max)
    if outcome.status in _THROTTLED:
        return delay_seconds(1, chance, asked, webhook_pause_seconds_max)
    return min(asked or 0, retry_after_seconds_max)
