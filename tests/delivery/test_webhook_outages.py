"""Receivers of webhooks that are away for a day or a week, and events that are refused alone, on a virtual clock.

Nothing is lost, each hotel's events arrive in order, and nobody has to do anything where the receiver comes back.
"""

from itertools import pairwise
from random import Random

import pytest
from innkeeper.delivery.webhooks.client import PostOutcome
from innkeeper.protocol.delivery.events import DisabledReason, WebhookDisabled
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.values import limits
from support.virtual_webhooks import (
    ACCEPTED,
    DAY,
    HOUR,
    PAUSE_MAX,
    REFUSED,
    SECOND,
    URL,
    WAYS_TO_BE_AWAY,
    Answer,
    VirtualWebhooks,
    assert_each_once_in_order,
    delivery,
    refuse,
)

__all__ = ["delivery"]


@pytest.mark.parametrize("hotels", [["inn"], ["inn", "lodge", "motel"]], ids=["one hotel", "three hotels"])
@pytest.mark.parametrize("way", WAYS_TO_BE_AWAY)
def test_a_receiver_that_is_away_for_a_day_gets_everything_in_order(
    delivery: VirtualWebhooks, way: str, hotels: list[str]
) -> None:
    webhook = delivery.add()
    events = delivery.append(*hotels, *hotels)
    delivery.run(HOUR)
    delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY[way]
    for _ in range(24):
        events += delivery.append(*hotels, *hotels)
        delivery.run(HOUR)
    assert delivery.dead_letters() == []
    assert delivery.subscriber(webhook).state().lag == 48 * len(hotels)
    assert delivery.show(webhook).failing_since is not None
    assert 20 <= sum(not post.accepted for post in delivery.posts) <= 200
    delivery.answer = Answer({})
    delivery.run(HOUR)
    assert_each_once_in_order(delivery, events)
    state = delivery.subscriber(webhook).state()
    assert (state.lag, state.parked, state.waiting, delivery.show(webhook).failing_since) == (0, 0, 0, None)
    assert delivery.published == []


def test_a_receiver_that_is_back_gets_everything_within_a_quarter_of_an_hour(delivery: VirtualWebhooks) -> None:
    delivery.add()
    delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY["answers 500"]
    hotels = [f"hotel-{number}" for number in range(50)]
    events = delivery.append(*hotels, *hotels)
    delivery.run(2 * DAY)
    delivery.answer = Answer({})
    delivery.run(PAUSE_MAX)
    assert_each_once_in_order(delivery, events)


def test_retries_have_the_same_id_and_are_signed_anew(delivery: VirtualWebhooks) -> None:
    delivery.add()
    delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY["hangs"]
    delivery.append("inn")
    delivery.run(HOUR)
    assert {post.event for post in delivery.posts} == {"inn:1"}
    assert delivery.signed_at == [post.at // SECOND for post in delivery.posts]
    assert len(set(delivery.signed_at)) == len(delivery.signed_at) > 5


def test_pauses_grow_and_vary_while_a_receiver_is_away(storage: Storage) -> None:
    attempts = []
    for _ in range(2):
        delivery = VirtualWebhooks(storage)
        webhook = delivery.add()
        delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY["answers 500"]
        delivery.append("inn")
        delivery.run(DAY)
        attempts.append([post.at for post in delivery.posts])
        delivery.do(delivery.unsubscribe(f"webhook-{webhook.id}"))
        delivery.close()
    for times in attempts:
        pauses = [(later - earlier) / SECOND for earlier, later in pairwise(times)]
        assert all(pause <= limits.webhook_pause_seconds_max for pause in pauses)
        assert all(pause >= limits.webhook_pause_seconds_max / 2 for pause in pauses[7:])
        assert sum(times[0] + 60 * SECOND > time for time in times) <= 6
    assert attempts[0] != attempts[1]


def test_a_webhook_that_accepts_nothing_for_days_is_disabled_and_keeps_its_place(delivery: VirtualWebhooks) -> None:
    webhook = delivery.add()
    events = delivery.append("inn", "lodge", "inn")
    delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY["answers 404"]
    delivery.run(limits.webhook_failing_seconds_max * SECOND)
    assert delivery.show(webhook).disabled_at is None
    delivery.run(HOUR)
    assert delivery.show(webhook).disabled_reason == "nothing was delivered for 5 days: answered 404"
    ((hotel, event, _),) = delivery.published
    reason = "nothing was delivered for 5 days: answered 404"
    assert (hotel, event) == ("_all", WebhookDisabled(webhook.id, URL, DisabledReason.FAILING, reason))
    attempts = len(delivery.posts)
    events += delivery.append("inn", "motel")
    delivery.run(30 * DAY)
    assert (len(delivery.posts), delivery.dead_letters()) == (attempts, [])
    assert delivery.subscriber(webhook).state().lag == 5
    delivery.restart()
    assert delivery.subscriber(webhook).state().lag == 5
    delivery.answer = Answer({})
    delivery.enable(webhook)
    delivery.run(SECOND)
    assert_each_once_in_order(delivery, events)


def test_a_webhook_that_is_enabled_too_early_has_days_again(delivery: VirtualWebhooks) -> None:
    webhook = delivery.add()
    events = delivery.append("inn", "inn")
    delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY["hangs"]
    delivery.run(6 * DAY)
    assert delivery.show(webhook).disabled_at is not None
    delivery.enable(webhook)
    delivery.run(4 * DAY)
    assert (delivery.show(webhook).disabled_at, delivery.dead_letters()) == (None, [])
    delivery.answer = Answer({})
    delivery.run(PAUSE_MAX)
    assert_each_once_in_order(delivery, events)


@pytest.mark.parametrize("jump", [-400 * DAY, 400 * DAY])
def test_a_clock_that_is_set_neither_disables_a_webhook_nor_delays_it(delivery: VirtualWebhooks, jump: int) -> None:
    webhook = delivery.add()
    events = delivery.append("inn", "lodge")
    delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY["refuses connections"]
    delivery.run(30 * SECOND)
    delivery.at += jump
    delivery.notify(f"webhook-{webhook.id}")
    delivery.run(2 * SECOND)
    assert delivery.show(webhook).disabled_at is None
    delivery.answer = Answer({})
    delivery.run(PAUSE_MAX)
    assert_each_once_in_order(delivery, events)


def test_the_answer_410_disables_a_webhook_which_keeps_its_place(delivery: VirtualWebhooks) -> None:
    webhook = delivery.add()
    delivery.answer = lambda _url, _event: PostOutcome(410, "answered 410")
    events = delivery.append("inn", "lodge")
    delivery.run(DAY)
    assert len(delivery.posts) == 1
    assert delivery.show(webhook).disabled_reason == "the endpoint answered 410 Gone"
    ((_, event, _),) = delivery.published
    assert isinstance(event, WebhookDisabled)
    delivery.answer = Answer({})
    delivery.enable(webhook)
    delivery.run(SECOND)
    assert_each_once_in_order(delivery, events)


def test_a_paused_webhook_keeps_its_place_in_an_outage(delivery: VirtualWebhooks) -> None:
    webhook = delivery.add()
    delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY["answers 503, retry after an hour"]
    events = delivery.append("inn", "lodge", "inn")
    delivery.run(HOUR)
    delivery.subscriber(webhook).pause(True)
    attempts = len(delivery.posts)
    delivery.run(10 * DAY)
    delivery.restart()
    delivery.run(10 * DAY)
    assert len(delivery.posts) == attempts
    delivery.answer = Answer({})
    delivery.subscriber(webhook).pause(False)
    delivery.notify(f"webhook-{webhook.id}")
    delivery.run(PAUSE_MAX)
    assert_each_once_in_order(delivery, events)


def test_a_disabled_webhook_gets_nothing_where_its_subscriber_is_resumed(delivery: VirtualWebhooks) -> None:
    webhook = delivery.add()
    delivery.enable(webhook, False)
    delivery.subscriber(webhook).pause(False)
    events = delivery.append("inn", "lodge")
    delivery.run(DAY)
    assert delivery.posts == []
    delivery.enable(webhook)
    delivery.run(SECOND)
    assert_each_once_in_order(delivery, events)


def test_a_new_url_is_tried_at_once(delivery: VirtualWebhooks) -> None:
    webhook = delivery.add()
    delivery.answer = lambda url, _event: WAYS_TO_BE_AWAY["answers 401"] if url == URL else ACCEPTED
    events = delivery.append("inn", "lodge", "inn")
    delivery.run(4 * DAY)
    delivery.change(webhook, url="https://new.example/hook")
    delivery.run(SECOND)
    assert_each_once_in_order(delivery, events)


def test_a_test_event_that_is_accepted_ends_the_pause(delivery: VirtualWebhooks) -> None:
    webhook = delivery.add()
    events = delivery.append("inn", "lodge")
    delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY["answers 503, retry after an hour"]
    delivery.run(DAY)
    assert delivery.ping(webhook).error == "answered 503"
    delivery.answer = Answer({})
    assert delivery.ping(webhook).status == 204
    delivery.run(10 * SECOND)
    assert delivery.accepted()[1:] == events


def test_a_webhook_that_is_away_does_not_delay_another(delivery: VirtualWebhooks) -> None:
    delivery.add()
    delivery.add("https://other.example/hook")
    delivery.answer = lambda url, _event: WAYS_TO_BE_AWAY["hangs"] if url == URL else ACCEPTED
    for _ in range(24):
        events = delivery.append("inn", "lodge")
        delivery.run(SECOND)
        assert delivery.accepted()[-2:] == events
        delivery.run(HOUR)


def test_ten_thousand_events_wait_in_the_log_and_not_in_memory(delivery: VirtualWebhooks) -> None:
    webhook = delivery.add()
    delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY["answers 500"]
    hotels = [f"hotel-{number}" for number in range(1_000)]
    for _ in range(10):
        delivery.append(*hotels)
        delivery.run(144 * 60 * SECOND)
    state = delivery.subscriber(webhook).state()
    assert state.lag == 10_000
    assert state.waiting < 100  # one for each attempt at most
    assert len(delivery.posts) < 200
    assert max(log.read_at_once_max for log in delivery.logs.values()) <= limits.subscriber_batch_events_max


@pytest.mark.parametrize("seed", range(12))
def test_any_sequence_of_outages_refusals_and_restarts_loses_nothing(storage: Storage, seed: int) -> None:
    random = Random(seed)
    delivery = VirtualWebhooks(storage)
    webhook = delivery.add()
    hotels = ["inn", "lodge", "motel", "ryokan"]
    events: list[str] = []
    for _ in range(60):
        events += delivery.append(*random.choices(hotels, k=random.randrange(4)))
        match random.randrange(5):
            case 0:
                away = random.choice([*WAYS_TO_BE_AWAY.values()])
                delivery.answer = lambda _url, _event, away=away: away  # type: ignore[misc]
            case 1:
                delivery.answer = refuse(*random.choices(events or ["inn:1"], k=2))
            case 2:
                delivery.answer = lambda _url, _event: random.choice([ACCEPTED, REFUSED])
            case 3:
                delivery.restart()
            case _:
                delivery.answer = Answer({})
        delivery.run(random.choice([SECOND, 60 * SECOND, HOUR, 5 * HOUR]))
    delivery.answer = Answer({})
    delivery.enable(webhook)
    for letter in delivery.dead_letters():
        delivery.redrive(letter)
    delivery.run(PAUSE_MAX)
    assert_each_once_in_order(delivery, events)
    state = delivery.subscriber(webhook).state()
    assert (state.lag, state.parked, state.waiting) == (0, 0, 0)
    delivery.close()
