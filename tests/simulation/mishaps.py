"""Faults in the house's own code, for one batch: a hotel, a room or the desk that raises in the middle of its work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from innkeeper.actors.partition.messages import HotelCommandsDone
from innkeeper.actors.reservations import hotel
from innkeeper.actors.reservations.messages import Claim
from innkeeper.actors.reservations.room import RoomActor
from innkeeper.actors.reservations.router import HotelRouter


class Mishap(Exception):
    """A fault that a programmer might have made."""


@contextmanager
def mishap(random: Random) -> Iterator[list[str]]:
    """From its n-th call on, one part of the house raises. The list says whether it came to that."""
    kind = random.choice(("decide", "evolve", "evolve", "room", "desk"))
    calls = random.choice((1, 1, 2, 3, 5))
    happened: list[str] = []

    def failing(work: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*arguments: Any) -> Any:
            nonlocal calls
            calls -= 1
            if calls <= 0:
                happened.append(kind)
                raise Mishap(kind)
            return work(*arguments)

        return fail

    if kind in ("decide", "evolve"):
        place, name, work = vars(hotel), kind, getattr(hotel, kind)
    elif kind == "room":
        place, name, work = RoomActor.handles, Claim, RoomActor.claim
    else:
        place, name, work = HotelRouter.handles, HotelCommandsDone, HotelRouter.commands_done
    place[name] = failing(work)
    try:
        yield happened
    finally:
        place[name] = work
