"""An event that a destination refuses parks its hotel. What was handled before it in the batch is not handled again."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.service_store import DeliveryStore
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.subscriptions import (
    EVERY_EVENT,
    Effects,
    EventRefused,
    Stalled,
    SubscriptionRequest,
    no_effects,
)
from innkeeper.protocol.reservations.events import BookingPinned
from innkeeper.protocol.values.contexts import RESERVATIONS
from support.recording_subscriber import SECOND, GrowingLog

HOTELS = ("north", "south", "west", "north", "south", "west", "north", "south", "west")


class Destination:
    """Takes events one by one, except those that it refuses, and none from the event `away_from` on."""

    def __init__(self, store: DeliveryStore) -> None:
        self.at = 0
        self.log = GrowingLog()
        self.refused: set[str] = set()
        self.away_from: str | None = None
        self.taken: list[str] = []
        cursor = store.open_cursor(SubscriptionRequest("broker", EVERY_EVENT), RESERVATIONS, self.log)
        self.subscriber = Subscriber([cursor], self._handle, lambda: self.at)

    async def _handle(self, entries: Sequence[LogEntry]) -> Effects:
        for handled, (_, record) in enumerate(entries):
            if record.id in self.refused:
                raise EventRefused(f"{record.id} is too large", handled)
            if record.id == self.away_from:
                raise Stalled("the destination is away", handled=handled)
            self.taken.append(record.id)
        return no_effects

    async def run_until_idle(self) -> None:
        while await self.subscriber.step():
            pass


def check_destination(storage: Storage, check: Callable[[Destination], Any]) -> None:
    async def run() -> None:
        with storage.delivery_store("delivery") as store:
            destination = Destination(store)
            for hotel in HOTELS:
                destination.log.append(hotel, BookingPinned("b", "101"))
            await check(destination)

    asyncio.run(run())


def test_a_refused_event_parks_its_hotel_and_nothing_is_handled_twice(storage: Storage) -> None:
    async def check(destination: Destination) -> None:
        destination.refused.add("south:2")
        await destination.run_until_idle()
        expected = [f"{hotel}:{number}" for number in (1, 2, 3) for hotel in ("north", "south", "west")]
        assert destination.taken == [event for event in expected if event not in ("south:2", "south:3")]
        (letter,) = destination.subscriber.dead_letters()
        assert (letter.hotel, letter.event, letter.reason) == ("south", "south:2", "south:2 is too large")
        assert destination.subscriber.state().parked == 1

    check_destination(storage, check)


def test_a_refused_event_that_is_redriven_is_followed_by_its_hotels_later_events(storage: Storage) -> None:
    async def check(destination: Destination) -> None:
        destination.refused.add("south:1")
        for _ in range(20):
            await destination.run_until_idle()
            destination.at += 20 * SECOND
        (letter,) = destination.subscriber.dead_letters()
        assert letter.retry_at is None
        destination.refused.clear()
        destination.subscriber.redrive(letter.event)
        await destination.run_until_idle()
        assert [event for event in destination.taken if event.startswith("south")] == ["south:1", "south:2", "south:3"]
        assert destination.subscriber.dead_letters() == []

    check_destination(storage, check)


def test_a_refusal_among_a_parked_hotels_later_events_parks_it_there(storage: Storage) -> None:
    async def check(destination: Destination) -> None:
        destination.refused |= {"south:1", "south:3"}
        await destination.run_until_idle()
        destination.refused.remove("south:1")
        destination.at += 2 * SECOND
        await destination.run_until_idle()
        (letter,) = destination.subscriber.dead_letters()
        assert letter.event == "south:3"
        assert [event for event in destination.taken if event.startswith("south")] == ["south:1", "south:2"]
        destination.subscriber.redrive("south:3", drop=True)
        await destination.run_until_idle()
        assert destination.subscriber.state().parked == 0

    check_destination(storage, check)


def test_events_that_were_handled_before_a_stall_are_not_handled_again(storage: Storage) -> None:
    async def check(destination: Destination) -> None:
        destination.away_from = "south:2"
        for _ in range(3):
            with pytest.raises(Stalled):
                await destination.run_until_idle()
        destination.away_from = None
        await destination.run_until_idle()
        assert destination.taken == [f"{hotel}:{number}" for number in (1, 2, 3) for hotel in HOTELS[:3]]

    check_destination(storage, check)
