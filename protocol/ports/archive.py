"""What an archive of events knows, and a journal that was restored or rolled back may not know."""

from collections.abc import Callable, Mapping, Set
from typing import NamedTuple


class DocumentNumbers(NamedTuple):
    """The highest numbers of a hotel's invoices and credit notes, without their prefixes; 0 where there is none."""

    invoices: int
    credit_notes: int


class Archived(NamedTuple):
    """The ids of the guests who were forgotten, and the highest numbers of each hotel's documents."""

    forgotten: Set[str]
    documents: Mapping[str, DocumentNumbers]


NOTHING_ARCHIVED = Archived(frozenset(), {})

ReadArchive = Callable[[str], Archived]
"""Reads the archive at a URL. Raises OperatorError."""
