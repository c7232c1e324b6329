"""The actor systems that run the same actors: ours, and Thespian's simple system base."""

from collections.abc import Callable
from typing import Any

from innkeeper.actors.system.local_actor_system import LocalActorSystem
from thespian.actors import ActorSystem


def _thespian() -> ActorSystem:
    return ActorSystem("simpleSystemBase", logDefs=False, transientUnique=True)


ACTOR_SYSTEMS: dict[str, Callable[[], Any]] = {"local": LocalActorSystem, "thespian": _thespian}
