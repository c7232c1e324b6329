"""Faults in the code of the actors, for one batch: a hotel, a room or the router raises in the middle of its work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from innkeeper.actors.partition.messages import PendingBatch
from innkeeper.actors.reservations import hotel
from innkeeper.actors.reservations.messages import Claim
from innkeeper.actors.reservations.room import RoomActor
from innkeeper.actors.reservations.router import HotelRouter


class ActorFault(Exception):
    """A programming error."""


@contextmanager
def actor_fault(random: Random) -> Iterator[list[str]]:
    """From its n-th call on one of the actors raises. The list is empty while it has not raised."""
    kind = random.choice(("decide", "evolve", "evolve", "room", "router"))
    calls = random.choice((1, 1, 2, 3, 5))
    raised: list[str] = []

    def failing(work: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*arguments: Any) -> Any:
            nonlocal calls
            calls -= 1
            if calls <= 0:
                raised.append(kind)
                raise ActorFault(kind)
            return work(*arguments)

        return fail

    if kind in ("decide", "evolve"):
        place, name, work = vars(hotel), kind, getattr(hotel, kind)
    elif kind == "room":
        place, name, work = RoomActor.handles, Claim, RoomActor.handles[Claim]
    else:
        place, name, work = HotelRouter.handles, PendingBatch, HotelRouter.handles[PendingBatch]
    place[name] = failing(work)
    try:
        yield raised
    finally:
        place[name] = work
