"""What an archive of events knows, and a journal that was restored or rolled back may not know."""

from collections.abc import Callable, Mapping, Set
from typing import NamedTuple

from innkeeper.protocol.billing.folio import IssuedNumbers


class Archived(NamedTuple):
    """The ids of the guests who were forgotten, and the highest numbers of each hotel's series of documents."""

    forgotten: Set[str]
    documents: Mapping[str, tuple[IssuedNumbers, ...]]


NOTHING_ARCHIVED = Archived(frozenset(), {})

ReadArchive = Callable[[str], Archived]
"""Reads the archive at a URL. Raises OperatorError."""
