"""Which messages are logged: a fault that lasts would otherwise fill the log with the same line."""

from collections.abc import Callable
from time import monotonic
from typing import Final

_SECONDS: Final = 60.0


class RepeatedMessages:
    """Tells repetitions of messages: each is due again only after a minute. Usable in any thread."""

    def __init__(self, seconds: Callable[[], float] = monotonic) -> None:
        """`seconds` is a clock that never goes back."""
        self._clock = seconds
        self._logged_at: dict[str, float] = {}

    def is_due(self, message: object) -> bool:
        """Returns whether this message is to be logged now; it is then taken as logged."""
        now, text = self._clock(), str(message)
        last = self._logged_at.get(text)
        if last is not None and now < last + _SECONDS:
            return False
        self._logged_at = {one: at for one, at in self._logged_at.items() if now < at + _SECONDS} | {text: now}
        return True
