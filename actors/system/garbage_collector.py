"""Settings of Python's garbage collector for a process whose objects are long-lived and rarely form cycles."""

import gc

_NEW_OBJECTS = 50_000  # net allocations of containers before a collection


def freeze_startup_objects() -> None:
    """Exempts all existing objects from garbage collection, and collects later ones less often."""
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 20, 20)
