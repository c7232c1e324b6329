"""How long the state machines run: a few examples in every run of the tests, and many when they are asked for."""

import os

from hypothesis import settings

_TIMES = int(os.environ.get("INNKEEPER_EXAMPLES_TIMES", "1"))


def machine_settings(examples: int, steps: int) -> settings:
    """So many examples of so many steps; INNKEEPER_EXAMPLES_TIMES multiplies the examples."""
    return settings(max_examples=examples * _TIMES, stateful_step_count=steps, deadline=None)
