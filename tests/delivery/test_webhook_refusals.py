"""Events that a receiver of webhooks refuses although it accepts others, on a virtual clock: each holds up its own
hotel only, and becomes a dead letter after the schedule of Standard Webhooks."""

from itertools import pairwise

import pytest
from innkeeper.protocol.delivery.events import WebhookEventRefused
from innkeeper.protocol.values.contexts import DELIVERY
from support.virtual_webhooks import (
    DAY,
    HOUR,
    PAUSE_MAX,
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


def test_an_event_that_is_refused_alone_holds_up_its_own_hotel_only(delivery: VirtualWebhooks) -> None:
    webhook = delivery.add()
    delivery.answer = refuse("inn:2")
    delivery.append("inn", "lodge", "inn", "lodge", "inn", "motel")
    delivery.run(10 * SECOND)
    assert (delivery.accepted("inn"), delivery.accepted("lodge")) == (["inn:1"], ["lodge:1", "lodge:2"])
    delivery.append("lodge", "inn", "motel")
    delivery.run(HOUR)
    assert delivery.accepted("lodge") == ["lodge:1", "lodge:2", "lodge:3"]
    assert (delivery.accepted("inn"), delivery.accepted("motel")) == (["inn:1"], ["motel:1", "motel:2"])
    assert (delivery.show(webhook).failing_since, delivery.show(webhook).attempts) == (None, 0)
    (letter,) = delivery.dead_letters()
    assert (letter.hotel, letter.event, letter.reason) == ("inn", "inn:2", "answered 422")
    assert letter.retry_at is not None
    delivery.answer = Answer({})
    delivery.run(3 * HOUR)
    assert delivery.accepted("inn") == ["inn:1", "inn:2", "inn:3", "inn:4"]
    assert delivery.dead_letters() == []


@pytest.mark.parametrize("redriven", [True, False])
def test_an_event_that_is_refused_alone_becomes_a_dead_letter_after_the_schedule_of_standard_webhooks(
    delivery: VirtualWebhooks, redriven: bool
) -> None:
    webhook = delivery.add()
    delivery.answer = refuse("inn:1")
    delivery.append("inn", "inn", "lodge")
    delivery.run(75 * HOUR)
    assert delivery.published == []
    delivery.run(9 * HOUR)
    tried = [post.at for post in delivery.posts if post.event == "inn:1"]
    pauses = [(later - earlier) / SECOND for earlier, later in pairwise(tried)]
    schedule = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert len(pauses) == len(schedule)
    for pause, scheduled in zip(pauses, schedule, strict=True):
        assert scheduled <= pause <= scheduled * 1.1 + 1
    ((hotel, event, cause),) = delivery.published
    assert event == WebhookEventRefused(
        webhook.id, URL, "inn:1", "innkeeper.booking.pinned.v1", len(tried), "answered 422"
    )
    assert (hotel, cause) == ("inn", "inn:1")
    (letter,) = delivery.dead_letters()
    assert (letter.event, letter.attempts, letter.retry_at) == ("inn:1", 10, None)
    assert [attempt.given_up for attempt in delivery.deliveries(webhook) if attempt.event == "inn:1"] == [False] * 9 + [
        True
    ]
    delivery.run(30 * DAY)
    assert len([post for post in delivery.posts if post.event == "inn:1"]) == 10
    if redriven:
        delivery.redrive(letter)
        delivery.run(SECOND)
        (letter,) = delivery.dead_letters()
        assert (letter.attempts, letter.retry_at, len(delivery.published)) == (11, None, 1)
        delivery.answer = Answer({})
    delivery.redrive(letter, drop=not redriven)
    delivery.run(SECOND)
    assert delivery.accepted("inn") == (["inn:1", "inn:2"] if redriven else ["inn:2"])
    assert delivery.dead_letters() == []


def test_an_outage_does_not_count_as_a_refusal_of_the_events_that_it_meets(delivery: VirtualWebhooks) -> None:
    """Also not of an event that was refused alone before."""
    delivery.add()
    delivery.answer = refuse("inn:1")
    events = delivery.append("inn", "lodge", "inn")
    delivery.run(HOUR)
    assert [letter.event for letter in delivery.dead_letters()] == ["inn:1"]
    delivery.answer = lambda _url, _event: WAYS_TO_BE_AWAY["answers 500"]
    events += delivery.append("lodge", "motel", "inn")
    delivery.run(4 * DAY)
    delivery.answer = Answer({})
    delivery.run(PAUSE_MAX)
    assert_each_once_in_order(delivery, events)
    assert delivery.published == []


def test_events_that_are_refused_alone_in_many_hotels_stop_nobody_else(delivery: VirtualWebhooks) -> None:
    delivery.add()
    wrong = [f"wrong-{number}" for number in range(20)]
    delivery.answer = refuse(*(f"{hotel}:1" for hotel in wrong))
    delivery.append(*wrong, "right", *wrong)
    delivery.run(12 * HOUR)
    assert delivery.accepted() == ["right:1"]
    for _ in range(4 * 24):
        delivery.append("right")
        delivery.run(HOUR)
    assert len(delivery.accepted("right")) == 97
    assert {event.event for _, event, _ in delivery.published} == {f"{hotel}:1" for hotel in wrong}  # type: ignore[attr-defined]
    assert len(delivery.published) == len(wrong)
    for letter in delivery.dead_letters():
        delivery.redrive(letter, drop=True)
    delivery.run(HOUR)
    assert [hotel for hotel in wrong if delivery.accepted(hotel) != [f"{hotel}:2"]] == []


def test_another_log_of_a_hotel_tells_that_its_event_is_refused_alone(delivery: VirtualWebhooks) -> None:
    """As billing does where an installation has one hotel."""
    delivery.add()
    delivery.answer = refuse("inn:1")
    delivery.append("inn", "inn")
    delivery.append("inn", "inn", log=DELIVERY)
    delivery.run(85 * HOUR)
    assert delivery.accepted() == ["delivery:inn:1", "delivery:inn:2"]
    (letter,) = delivery.dead_letters()
    assert (letter.event, letter.retry_at, len(delivery.published)) == ("inn:1", None, 1)
