"""The file of the locators' key: its owner's alone, made once, and never replaced where hotels may depend on it."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from innkeeper.protocol.ports.journal import JournalError
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.sqlite.storage import SqliteStorage
from support.server_process import run_to_end


def installation(path: Path, partitions: int = 2) -> SqliteStorage:
    """The storage of an installation."""
    storage = SqliteStorage(DataDirectory(path))
    storage.installation(partitions=partitions)
    return storage


def key_and_journal(path: Path, log: str) -> bytes:
    """What each partition does in its own process at the start; its key."""
    storage = installation(path)
    key = storage.locator_key()
    storage.journal(log).close()
    return key


def test_only_its_owner_can_read_the_key(tmp_path: Path) -> None:
    installation(tmp_path).locator_key()
    assert (tmp_path / "locator.key").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"locator.key", "installation.json"}


def test_partitions_that_start_together_have_the_same_key(tmp_path: Path) -> None:
    logs = ("reservations-0", "reservations-1")
    with ProcessPoolExecutor(2, get_context("spawn")) as processes:
        for number in range(10):
            paths = [tmp_path / str(number)] * 2
            assert len(set(processes.map(key_and_journal, paths, logs))) == 1


@pytest.mark.parametrize("log", ["reservations-0", "reservations-1"])
def test_a_lost_key_is_not_replaced_where_there_are_journals(log: str, tmp_path: Path) -> None:
    key = key_and_journal(tmp_path, log)
    file = (tmp_path / "locator.key").rename(tmp_path / "backup")
    with pytest.raises(JournalError, match=r"locator\.key.* is missing; restore it from the backup"):
        installation(tmp_path).locator_key()
    assert not (tmp_path / "locator.key").exists()
    file.rename(tmp_path / "locator.key")
    assert installation(tmp_path).locator_key() == key


def test_a_key_that_was_changed_or_cut_short_is_not_used(tmp_path: Path) -> None:
    installation(tmp_path).locator_key()
    file = tmp_path / "locator.key"
    content = file.read_bytes()
    for number in range(len(content)):
        for changed in (content[:number], content[:number] + bytes([content[number] ^ 1]) + content[number + 1 :]):
            file.write_bytes(changed)
            with pytest.raises(
                JournalError, match=r"locator\.key is damaged, or another .*; restore it from the backup"
            ):
                installation(tmp_path).locator_key()


def test_the_key_of_another_installation_is_not_used(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        installation(tmp_path / name).locator_key()
    (tmp_path / "theirs/locator.key").replace(tmp_path / "ours/locator.key")
    with pytest.raises(JournalError, match="another installation's"):
        installation(tmp_path / "ours").locator_key()


def test_a_new_ledger_does_not_prevent_the_first_key(tmp_path: Path) -> None:
    """Billing has a journal before the first hotel, where its process is the first to start."""
    installation(tmp_path).journal("billing").close()
    assert len(installation(tmp_path).locator_key()) == 32


def test_the_program_says_that_the_key_is_to_be_restored(tmp_path: Path) -> None:
    key_and_journal(tmp_path / "data", "reservations-0")
    (tmp_path / "data" / "locator.key").unlink()
    ended = run_to_end("demo", "--port", "0", "--data", tmp_path / "data")
    assert ended.returncode == EXIT_DAMAGED
    (line,) = ended.stderr.strip().splitlines()
    assert line.startswith("innkeeper: ")
    assert "locator.key" in line
    assert "restore it from the backup" in line
