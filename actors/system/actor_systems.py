"""The actor systems that can run a partition: ours, and Thespian's simple one. Both run in the calling thread."""

from collections.abc import Callable

from innkeeper.actors.system.local_actor_system import ActorSystem, LocalActorSystem
from thespian.actors import ActorSystem as ThespianSystem

OpenActorSystem = Callable[[], ActorSystem]
"""Makes a new actor system; a process may have several."""


def _thespian() -> ActorSystem:
    system: ActorSystem = ThespianSystem("simpleSystemBase", logDefs=False, transientUnique=True)
    return system


ACTOR_SYSTEMS: dict[str, OpenActorSystem] = {"local": LocalActorSystem, "thespian": _thespian}
"""By the names of the option `--actor-system`."""
