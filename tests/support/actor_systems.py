"""The actor system that tests of a partition run on: `INNKEEPER_ACTOR_SYSTEM`, by default ours."""

import os

from innkeeper.actors.system.actor_systems import ACTOR_SYSTEMS

open_actor_system = ACTOR_SYSTEMS[os.environ.get("INNKEEPER_ACTOR_SYSTEM", "local")]
