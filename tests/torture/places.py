"""The places in a file, so that flips can be spread over all kinds of content: a file that is mostly rows would
otherwise get few flips in its schema, keys and indexes.

What a page of an SQLite file holds follows from the file format (sqlite.org/fileformat2.html, 1.3 to 1.6).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

Places = dict[str, list[range]]
"""The byte ranges of each kind of place in a file."""

_FILE_HEADER_BYTES = 100
_WAL_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_INNER_INDEX, _INNER_TABLE, _INDEX, _TABLE = 2, 5, 10, 13
_KINDS = {_INNER_INDEX: "inner keys", _INNER_TABLE: "inner keys", _INDEX: "keys", _TABLE: "rows"}


def places_of(file: Path) -> Places:
    """The places in a file. Nobody uses it."""
    content = file.read_bytes()
    if file.name.endswith("-wal"):
        return _places_of_wal(content)
    if content.startswith(b"SQLite format 3\0"):
        return _places_of_database(file, content)
    return {"content": [range(len(content))]} if content else {}


def _places_of_wal(content: bytes) -> Places:
    page = int.from_bytes(content[8:12], "big")
    found: Places = {"header": [range(_WAL_HEADER_BYTES)], "frame headers": [], "pages": []}
    for start in range(_WAL_HEADER_BYTES, len(content), _FRAME_HEADER_BYTES + page):
        begin = start + _FRAME_HEADER_BYTES
        found["frame headers"].append(range(start, begin))
        found["pages"].append(range(begin, begin + page))
    return found if content else {}


def _places_of_database(file: Path, content: bytes) -> Places:
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db:
        roots = db.execute("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0").fetchall()
    size = int.from_bytes(content[16:18], "big")
    found: Places = {"file header": [range(_FILE_HEADER_BYTES)], "free or overflow pages": []}
    used = set[int]()
    for name, root in [("schema", 1), *roots]:
        for number in _pages(content, size, root):
            used.add(number)
            for kind, places in _regions(content, size, number):
                found.setdefault(f"{name}: {kind}" if kind else "unused", []).append(places)
    pages = range(1, len(content) // size + 1)
    found["free or overflow pages"] = [range((n - 1) * size, n * size) for n in pages if n not in used]
    return {kind: ranges for kind, ranges in found.items() if any(map(len, ranges))}


def _header(size: int, page: int) -> int:
    """Where the header of a page begins in the file."""
    return (page - 1) * size + (_FILE_HEADER_BYTES if page == 1 else 0)


def _pointers(content: bytes, at: int) -> range:
    """Where the pointers to the cells of the page stand whose header is here."""
    first = at + (12 if content[at] in (_INNER_INDEX, _INNER_TABLE) else 8)
    return range(first, first + 2 * int.from_bytes(content[at + 3 : at + 5], "big"), 2)


def _pages(content: bytes, size: int, root: int) -> Iterator[int]:
    """The pages of the tree with this root."""
    yield root
    at = _header(size, root)
    if content[at] in (_INNER_INDEX, _INNER_TABLE):
        children = [at + 8]
        children += [(root - 1) * size + int.from_bytes(content[p : p + 2], "big") for p in _pointers(content, at)]
        for child in children:
            yield from _pages(content, size, int.from_bytes(content[child : child + 4], "big"))


def _regions(content: bytes, size: int, page: int) -> Iterator[tuple[str, range]]:
    """The header with the pointers, the cells, and what is between them (an empty kind), of one page."""
    at, start = _header(size, page), (page - 1) * size
    pointers, kind = _pointers(content, at), _KINDS[content[at]]
    cells = start + (int.from_bytes(content[at + 5 : at + 7], "big") or 65_536)
    yield f"header of {kind}", range(at, pointers.stop)
    yield "", range(pointers.stop, cells)
    yield kind, range(cells, start + size)
