"""Python's garbage collector, set for a process whose objects live long and hardly ever refer to themselves."""

import gc

_NEW_OBJECTS = 10_000  # containers that are made before the collector looks at them


def freeze_startup_objects() -> None:
    """Exempt all that exists now from garbage collection, and collect less often what comes."""
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 20, 20)
