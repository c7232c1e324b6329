"""SQLite connections that warn with the place of their opening if they are not closed. Python itself warns only from
3.13 on, and without the place."""

import sqlite3
import traceback
import warnings
from typing import Any

_FRAMES = 6


class WatchedConnection(sqlite3.Connection):
    """A connection that warns if it is collected without being closed."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        self._opened_at: list[traceback.FrameSummary] | None = None
        super().__init__(*arguments, **settings)
        self._opened_at = traceback.extract_stack(limit=_FRAMES)[:-1]

    def close(self) -> None:
        """Close it, and warn no more."""
        super().close()
        self._opened_at = None

    def __del__(self) -> None:
        if self._opened_at is not None:
            opened_at = "".join(traceback.format_list(self._opened_at))
            self.close()
            warnings.warn(f"unclosed database, opened at\n{opened_at}", ResourceWarning, stacklevel=1)


def watch_connections() -> None:
    """Make every new connection of this process a `WatchedConnection`."""
    connect = sqlite3.connect

    def watched(*arguments: Any, factory: type = sqlite3.Connection, **settings: Any) -> sqlite3.Connection:
        watched_factory = type(factory.__name__, (WatchedConnection, factory), {})
        return connect(*arguments, factory=watched_factory, **settings)

    sqlite3.connect = watched  # type: ignore[assignment]
