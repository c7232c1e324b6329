"""A disk on which power may be lost after any operation of a log: what can be on it then.

What is certain is only what was synced. The rest may be there or not, in part, and in any order:

- **The content of a file** is what it was when its last sync began. Each write since then is cut into sectors of 512 or
  of 4096 bytes, and each sector has its content after any number of the writes to it, whatever became of the others. So
  a later write can be there without an earlier one; within a sector, which is written as a whole, it cannot. What lies
  between is zeros. Of the truncations since the sync any number may be there, the first ones first.
- **Names** (of new files and folders, links, renamed and removed files) follow one of two models:

  - `Names.BY_FOLDER`, the strict one, is what POSIX promises: a name is certain after a sync of its folder, and of
    nothing else. A synced file may have no name; a name may lead to a file that is empty. Names of a folder are written
    in their order; folders do not wait for each other.
  - `Names.BY_JOURNAL` is what ext4, XFS and others do: changes of names go to one journal in their order, and a sync of
    any file or folder writes the journal until there.

  Whatever is possible by the second is possible by the first. The first alone shows a missing sync of a folder, the
  second what common machines do. SQLite relies on the sync of a folder after it has made a write-ahead log there.

Bytes beside a write are never harmed: SQLite relies on that, too ("powersafe overwrite"). Memory that is mapped is not
seen; SQLite's `-shm` files are so, which it makes again after a crash.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath
from random import Random
from typing import NamedTuple

from power_loss.operations import Operation


class Names(Enum):
    """When the name of a file is certain."""

    BY_FOLDER = "names by folder"
    BY_JOURNAL = "names by journal"


class Unsynced(Enum):
    """What is there of what was not synced: nothing, everything, or of each file one of these or some sectors."""

    NOTHING = "nothing"
    EVERYTHING = "everything"
    MIXED = "some"


class Change(NamedTuple):
    """A write at this place, or a truncation to this size, where there are no data."""

    number: int
    at: int
    data: bytes | None


class NameChange(NamedTuple):
    """Names that change together in a folder: each leads to a node from now on, or to none."""

    number: int
    names: dict[str, "Node | None"]


@dataclass
class File:
    """A file: its certain content, and the changes since then."""

    certain: bytearray = field(default_factory=bytearray)
    changes: list[Change] = field(default_factory=list)

    def sync(self, number: int) -> None:
        """What was done before this operation is certain."""
        for change in self.changes:
            if change.number < number:
                _apply(self.certain, change)
        self.changes = [change for change in self.changes if change.number >= number]

    def content(self, unsynced: Unsynced, chance: Random) -> bytes:
        """What the file may contain."""
        content = bytearray(self.certain)
        if unsynced is Unsynced.MIXED:
            unsynced = chance.choice([Unsynced.NOTHING, Unsynced.EVERYTHING, Unsynced.MIXED, Unsynced.MIXED])
        if unsynced is Unsynced.EVERYTHING:
            for change in self.changes:
                _apply(content, change)
        elif unsynced is Unsynced.MIXED:
            for change in self._some(chance):
                _apply(content, change)
        return bytes(content)

    def _some(self, chance: Random) -> Iterator[Change]:
        """Some of the changes, sector by sector: of each the first ones, up to a random number."""
        sector_bytes = chance.choice([512, 4096])
        ends: dict[int, int] = {}

        def is_there(change: Change, sector: int) -> bool:
            if sector not in ends:
                ends[sector] = chance.randint(self.changes[0].number, self.changes[-1].number + 1)
            return change.number < ends[sector]

        for change in self.changes:
            if change.data is None:
                if is_there(change, -1):
                    yield change
                continue
            place, end = change.at, change.at + len(change.data)
            while place < end:
                next_place = min(end, (place // sector_bytes + 1) * sector_bytes)
                if is_there(change, place // sector_bytes):
                    yield Change(change.number, place, change.data[place - change.at : next_place - change.at])
                place = next_place


@dataclass
class Folder:
    """A folder: its certain names, the changes since then, and what its names are for the processes."""

    certain: dict[str, "Node"] = field(default_factory=dict)
    changes: list[NameChange] = field(default_factory=list)
    now: dict[str, "Node"] = field(default_factory=dict)

    def change(self, number: int, names: dict[str, "Node | None"]) -> None:
        """Change names together."""
        self.changes.append(NameChange(number, names))
        _rename(self.now, names)

    def sync(self, number: int) -> None:
        """What was done before this operation is certain."""
        for change in self.changes:
            if change.number < number:
                _rename(self.certain, change.names)
        self.changes = [change for change in self.changes if change.number >= number]

    def names(self, until: int) -> dict[str, "Node"]:
        """The names with the uncertain changes before this operation."""
        names = dict(self.certain)
        for change in self.changes:
            if change.number < until:
                _rename(names, change.names)
        return names


Node = File | Folder


class Disk:
    """The disk below a folder, which is empty at first, and is there for certain."""

    def __init__(self, root: Path, names: Names) -> None:
        self._root = PurePosixPath(root)
        self._names = names
        self._top = Folder()
        self._nodes: dict[int, Node] = {root.stat().st_ino: self._top}
        self._syncs: dict[tuple[int, int], int] = {}  # of a thread and an inode: the number of the operation
        self._number = 0

    def carry_out(self, operation: Operation) -> None:
        """The next operation of the log."""
        self._number += 1
        kind, inode, at, path, data = operation
        if kind == "W":
            self._file(inode).changes.append(Change(self._number, at, data))
        elif kind == "T":
            self._file(inode).changes.append(Change(self._number, at, None))
        elif kind == "B":
            self._syncs[at, inode] = self._number
        elif kind == "E":
            self._sync(inode, self._syncs.pop((at, inode)))
        elif kind in "CDRLU":
            self._change_names(kind, inode, path, data.decode())

    def _change_names(self, kind: str, inode: int, path: str, new: str) -> None:
        folder, name = self._place(path)
        if kind in "CD":
            self._nodes[inode] = File() if kind == "C" else Folder()
            folder.change(self._number, {name: self._nodes[inode]})
        elif kind == "U":
            folder.change(self._number, {name: None})
        else:
            to, new_name = self._place(new)
            assert to is folder, "a file that moves to another folder is not modelled"
            folder.change(self._number, {**({name: None} if kind == "R" else {}), new_name: folder.now[name]})

    def _file(self, inode: int) -> File:
        file = self._nodes[inode]
        assert isinstance(file, File)
        return file

    def _place(self, path: str) -> tuple[Folder, str]:
        *folders, name = PurePosixPath(path).relative_to(self._root).parts
        place = self._top
        for each in folders:
            found = place.now[each]
            assert isinstance(found, Folder)
            place = found
        return place, name

    def _sync(self, inode: int, begun: int) -> None:
        self._nodes[inode].sync(begun)
        if self._names is Names.BY_JOURNAL:
            for folder in self._folders():
                folder.sync(begun)

    def lose_power(self, target: Path, unsynced: Unsynced, chance: Random) -> None:
        """Write what may be on the disk now into a new folder. The disk itself stays as it is."""
        self._write(self._top, target, unsynced, chance, self._end_of_names(self._folders(), unsynced, chance))

    def _folders(self) -> list[Folder]:
        return [node for node in self._nodes.values() if isinstance(node, Folder)]

    def _end_of_names(self, folders: Iterable[Folder], unsynced: Unsynced, chance: Random) -> int:
        """The operation before which the changes of names in these folders are there."""
        if unsynced is not Unsynced.MIXED:
            return 0 if unsynced is Unsynced.NOTHING else self._number + 1
        return chance.choice([self._number + 1, *(change.number for folder in folders for change in folder.changes)])

    def _write(self, folder: Folder, target: Path, unsynced: Unsynced, chance: Random, until: int) -> None:
        if self._names is Names.BY_FOLDER:
            until = self._end_of_names([folder], unsynced, chance)
        target.mkdir(mode=0o700)
        for name, node in sorted(folder.names(until).items()):
            if isinstance(node, File):
                (target / name).write_bytes(node.content(unsynced, chance))
                (target / name).chmod(0o600)
            else:
                self._write(node, target / name, unsynced, chance, until)


def _apply(content: bytearray, change: Change) -> None:
    """Change the content of a file; a gap becomes zeros."""
    end = change.at if change.data is None else change.at + len(change.data)
    if len(content) < end or change.data is None:
        content.extend(bytes(max(0, end - len(content))))
    if change.data is None:
        del content[end:]
    else:
        content[change.at : end] = change.data


def _rename(names: dict[str, Node], changes: dict[str, Node | None]) -> None:
    for name, node in changes.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node
