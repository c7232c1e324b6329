"""The disk that loses power: what its rules leave of short logs."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from power_loss.disk import Disk, Names, Unsynced
from power_loss.operations import Operation

FILE, FOLDER, THREAD = 7, 8, 1
BY_BOTH = pytest.mark.parametrize("names", Names)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder that stands for the disk."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def create(root: Path, name: str = "a") -> Operation:
    return Operation("C", FILE, 0, str(root / name), b"")


def write(data: bytes, at: int = 0) -> Operation:
    return Operation("W", FILE, at, "", data)


def sync(inode: int = FILE) -> list[Operation]:
    return [Operation("B", inode, THREAD, "", b""), Operation("E", inode, THREAD, "", b"")]


def rename(root: Path, old: str, new: str) -> Operation:
    return Operation("R", 0, 0, str(root / old), str(root / new).encode())


def left(
    root: Path, operations: Sequence[Operation], names: Names, unsynced: Unsynced = Unsynced.NOTHING, seed: int = 0
) -> dict[str, bytes]:
    """The files that are left after these operations."""
    disk = Disk(root, names)
    for operation in operations:
        disk.carry_out(operation)
    copy = root.with_name("left")
    disk.lose_power(copy, unsynced, Random(seed))
    files = {str(path.relative_to(copy)): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    shutil.rmtree(copy)
    return files


def sync_root(root: Path) -> list[Operation]:
    return sync(root.stat().st_ino)


@BY_BOTH
def test_what_was_synced_is_there_and_nothing_else_is_certain(names: Names, root: Path) -> None:
    operations = [create(root), *sync_root(root), write(b"one"), *sync(), write(b"two", 3)]
    assert left(root, operations, names) == {"a": b"one"}
    assert left(root, operations, names, Unsynced.EVERYTHING) == {"a": b"onetwo"}


@BY_BOTH
def test_a_write_during_a_sync_is_not_covered_by_it(names: Names, root: Path) -> None:
    begin, end = sync()
    operations = [create(root), *sync_root(root), write(b"one"), begin, write(b"two", 3), end]
    assert left(root, operations, names) == {"a": b"one"}


def test_a_synced_file_has_its_name_only_once_the_folder_is_synced(root: Path) -> None:
    operations = [create(root), write(b"one"), *sync()]
    assert left(root, operations, Names.BY_FOLDER) == {}
    assert left(root, operations, Names.BY_JOURNAL) == {"a": b"one"}
    assert left(root, [*operations, *sync_root(root)], Names.BY_FOLDER) == {"a": b"one"}


@BY_BOTH
def test_a_file_that_was_not_synced_may_be_empty_under_its_new_name(names: Names, root: Path) -> None:
    operations = [create(root), write(b"one"), rename(root, "a", "b"), *sync_root(root)]
    assert left(root, operations, names) == {"b": b""}


@BY_BOTH
def test_a_later_sector_may_be_there_without_an_earlier_one(names: Names, root: Path) -> None:
    operations = [create(root), *sync_root(root), write(b"a" * 4096), write(b"b" * 4096, 4096)]
    found = {left(root, operations, names, Unsynced.MIXED, seed).get("a", b"") for seed in range(200)}
    assert bytes(4096) + b"b" * 4096 in found
    assert b"a" * 4096 in found
    assert b"" in found


@BY_BOTH
def test_a_sector_never_has_a_later_write_without_an_earlier_one(names: Names, root: Path) -> None:
    operations = [create(root), *sync_root(root), write(b"one"), write(b"two", 3), write(b"six", 6)]
    found = {left(root, operations, names, Unsynced.MIXED, seed).get("a", b"") for seed in range(200)}
    assert found == {b"", b"one", b"onetwo", b"onetwosix"}


@BY_BOTH
def test_names_of_a_folder_are_written_in_their_order(names: Names, root: Path) -> None:
    operations = [create(root), *sync(), rename(root, "a", "b"), rename(root, "b", "c")]
    found = {tuple(left(root, operations, names, Unsynced.MIXED, seed)) for seed in range(100)}
    assert found == {("a",), ("b",), ("c",)} | ({()} if names is Names.BY_FOLDER else set())


@BY_BOTH
def test_a_file_is_cut_for_certain_only_after_its_sync(names: Names, root: Path) -> None:
    operations = [create(root), *sync_root(root), write(b"one"), *sync(), Operation("T", FILE, 0, "", b"")]
    assert left(root, operations, names) == {"a": b"one"}
    assert left(root, [*operations, *sync()], names) == {"a": b""}
