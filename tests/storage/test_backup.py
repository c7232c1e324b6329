"""A backup is whole or not there, and a restore serves nothing that is damaged, mixed or incomplete."""

import json
import resource
import shutil
import sqlite3
import stat
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED, EXIT_FAILED, EXIT_USAGE
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.operations.backup import CONTENTS
from innkeeper.storage.operations.new_folder import FolderUnusable, new_folder
from innkeeper.storage.sqlite.copying import copy_database
from innkeeper.storage.sqlite.journal import SqliteJournal
from support.server_process import ServerProcess, program_command, run_to_end
from support.whole_installation import use


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of which every part was used. Tests copy it before they change it."""
    path = tmp_path_factory.mktemp("used") / "data"
    with closing(ServerProcess(path)) as server:
        use(server.url)
        assert server.stop()[0] == 0
    (path / "templates/seaside").mkdir(parents=True)
    (path / "templates/seaside/confirmation.txt").write_text("Welcome")
    return path


@pytest.fixture(scope="module")
def backup(used: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it. Tests copy it before they change it."""
    path = tmp_path_factory.mktemp("backups") / "monday"
    assert run_backup(used, path)["files"] == len(json.loads((path / CONTENTS).read_text())["files"])
    return path


def run_backup(data: Path, destination: Path) -> Any:
    """The report of a backup."""
    done = run_to_end("backup", destination, "--data", data)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def assert_refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check that a command ended with this code, and one line that has these words."""
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done.stderr
    for word in words:
        assert word in done.stderr


def copied(path: Path, to: Path) -> Path:
    """A copy of a folder."""
    return Path(shutil.copytree(path, to))


def test_a_backup_has_all_databases_keys_secrets_and_templates(used: Path, backup: Path) -> None:
    names = {str(file.relative_to(backup)) for file in backup.rglob("*") if file.is_file()}
    assert names == {
        "backup.json", "installation.json", "simulated-provider.secret", "templates/seaside/confirmation.txt",
        *(file.name for pattern in ("*.db", "*.key") for file in used.glob(pattern)),
    }  # fmt: skip
    assert names > {"partition-0.db", "billing-0.db", "billing.db", "delivery-0.db", "delivery.db", "delivery.key"}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [backup, *backup.rglob("*")]}
    assert modes == {0o600, 0o700}


def test_a_restored_backup_is_the_same_installation_on_a_new_timeline(backup: Path, used: Path, tmp_path: Path) -> None:
    done = run_to_end("restore", backup, "--data", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    was, now = DataDirectory(used).installation(), DataDirectory(tmp_path / "data").installation()
    assert (now.id, now.name, now.partitions) == (was.id, was.name, was.partitions)
    assert now.timeline != was.timeline
    report, contents = json.loads(done.stdout), json.loads((backup / CONTENTS).read_text())
    assert report["timeline"] == now.timeline
    more = {log: report["positions"][log] - position for log, position in contents["positions"].items()}
    assert more == {"reservations": 1, "billing": 1, "delivery": 0}, "an event of the hotel, and one of its ledger"
    assert report["positions"]["reservations"] > 8
    assert report["files"] == len(contents["files"])
    assert (tmp_path / "data/templates/seaside/confirmation.txt").read_text() == "Welcome"
    assert {path.name for path in tmp_path.iterdir()} == {"data"}, "nothing else is left"
    assert not [file.name for file in (tmp_path / "data").iterdir() if file.name.endswith(("-wal", "-shm", CONTENTS))]


def test_two_restores_of_one_backup_are_two_timelines(backup: Path, tmp_path: Path) -> None:
    timelines = set()
    for name in ("first", "second"):
        assert run_to_end("restore", backup, "--data", tmp_path / name).returncode == 0
        timelines.add(DataDirectory(tmp_path / name).installation().timeline)
    assert len(timelines) == 2


@pytest.mark.parametrize(("inside", "message"), [("data/backup", "within"), ("data", "within"), ("full", "not empty")])
def test_a_backup_into_data_or_files_is_refused(inside: str, message: str, used: Path, tmp_path: Path) -> None:
    data = copied(used, tmp_path / "data")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/some").write_text("text")
    before = sorted(tmp_path.rglob("*"))
    assert_refused(run_to_end("backup", tmp_path / inside, "--data", data), EXIT_USAGE, message)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_backup_of_no_installation_is_refused(tmp_path: Path) -> None:
    assert_refused(run_to_end("backup", tmp_path / "b", "--data", tmp_path / "d"), EXIT_USAGE, "--data")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled(used: Path, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir(mode=0o755)
    assert run_backup(used, tmp_path / "backup")["bytes"] > 100_000
    (tmp_path / "data").mkdir()
    assert run_to_end("restore", tmp_path / "backup", "--data", tmp_path / "data").returncode == 0


def test_too_little_space_is_told_before_anything_is_written(used: Path, tmp_path: Path) -> None:
    data = copied(used, tmp_path / "data")
    with (data / "huge.key").open("wb") as file:
        file.truncate(shutil.disk_usage(tmp_path).free + 10**9)  # without using any of it
    refused = run_to_end("backup", tmp_path / "backup", "--data", data)
    assert_refused(refused, EXIT_FAILED, "needs", "free")
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


@pytest.mark.parametrize("part", [0.1, 0.9])
def test_a_backup_that_cannot_be_written_leaves_nothing(part: float, used: Path, tmp_path: Path) -> None:
    bytes_max = round(part * max(file.stat().st_size for file in used.glob("*.db")))
    refused = subprocess.run(
        program_command("backup", tmp_path / "backup", "--data", used),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, bytes_max)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert_refused(refused, EXIT_FAILED, "cannot be")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_is_not_backed_up(used: Path, tmp_path: Path) -> None:
    data = copied(used, tmp_path / "data")
    content = bytearray((data / "billing-0.db").read_bytes())
    content[4_096 * 3 : 4_096 * 9] = bytes(4_096 * 6)
    (data / "billing-0.db").write_bytes(content)
    assert_refused(run_to_end("backup", tmp_path / "backup", "--data", data), EXIT_DAMAGED, "billing-0.db")
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_a_service_that_is_ahead_of_its_journal_is_not_backed_up(used: Path, tmp_path: Path) -> None:
    data = copied(used, tmp_path / "data")
    installation = DataDirectory(data).installation().id
    (data / "partition-0.db").unlink()
    with closing(sqlite3.connect(data / "partition-0.db")) as db, db:
        db.execute("CREATE TABLE installation (id TEXT NOT NULL) STRICT")
        db.execute("INSERT INTO installation VALUES (?)", (installation,))
    SqliteJournal(data / "partition-0.db").close()
    refused = run_to_end("backup", tmp_path / "backup", "--data", data)
    assert_refused(refused, EXIT_DAMAGED, "has seen event", "of reservations", "ends at event 0")


def test_a_folder_that_is_no_backup_is_not_restored(used: Path, tmp_path: Path) -> None:
    assert_refused(run_to_end("restore", used, "--data", tmp_path / "data"), EXIT_USAGE, CONTENTS)
    assert_refused(run_to_end("restore", tmp_path / "none", "--data", tmp_path / "data"), EXIT_USAGE, CONTENTS)
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_is_not_empty_is_not_restored_to(backup: Path, used: Path, tmp_path: Path) -> None:
    data = copied(used, tmp_path / "data")
    before = (data / "installation.json").read_bytes()
    assert_refused(run_to_end("restore", backup, "--data", data), EXIT_USAGE, "not empty")
    assert (data / "installation.json").read_bytes() == before


@pytest.mark.parametrize("file", ["partition-0.db", "notifications.db", "delivery.key", "installation.json", CONTENTS])
@pytest.mark.parametrize("change", ["remove", "flip", "cut off"])
def test_a_backup_that_was_changed_is_not_restored(change: str, file: str, backup: Path, tmp_path: Path) -> None:
    changed = copied(backup, tmp_path / "backup") / file
    content = bytearray(changed.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 1
    if change == "remove":
        changed.unlink()
    else:
        changed.write_bytes(content if change == "flip" else content[:middle])
    refused = run_to_end("restore", tmp_path / "backup", "--data", tmp_path / "data")
    code = EXIT_USAGE if (file, change) == (CONTENTS, "remove") else EXIT_DAMAGED
    assert_refused(refused, code)
    assert {path.name for path in tmp_path.iterdir()} == {"backup"}, "nothing can be started from it"


def test_an_event_that_was_altered_before_the_backup_is_found_by_the_restore(used: Path, tmp_path: Path) -> None:
    data = copied(used, tmp_path / "data")
    with closing(sqlite3.connect(data / "partition-0.db")) as db, db:
        db.execute("UPDATE events SET by = 'somebody else' WHERE rowid = 3")
    run_backup(data, tmp_path / "backup")
    refused = run_to_end("restore", tmp_path / "backup", "--data", tmp_path / "restored")
    assert_refused(refused, EXIT_DAMAGED, "event 3 is not what was written")
    assert not (tmp_path / "restored").exists()


def test_a_file_outside_the_backup_is_not_restored(backup: Path, tmp_path: Path) -> None:
    changed = copied(backup, tmp_path / "backup") / CONTENTS
    contents = json.loads(changed.read_text())
    contents["files"]["../outside.db"] = next(iter(contents["files"].values()))
    changed.write_text(json.dumps(contents))
    refused = run_to_end("restore", tmp_path / "backup", "--data", tmp_path / "data")
    assert_refused(refused, EXIT_DAMAGED, "outside")


def test_a_folder_that_somebody_fills_meanwhile_is_left_alone(tmp_path: Path) -> None:
    with ExitStack() as exits:
        fresh = exits.enter_context(new_folder(tmp_path / "data", "last"))
        (fresh / "last").write_text("ours")
        (tmp_path / "data").mkdir()
        (tmp_path / "data/theirs").write_text("theirs")
        with pytest.raises(FolderUnusable, match="not empty"):
            exits.close()
    assert {path.name for path in tmp_path.rglob("*")} == {"data", "theirs"}


def test_a_writer_that_commits_during_a_copy_does_not_make_it_begin_anew(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "large.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE numbers (number INTEGER, body BLOB)")
        writer.executemany("INSERT INTO numbers VALUES (?, zeroblob(1000000))", [(number,) for number in range(20)])
        steps: list[int] = []

        def commit(size: int) -> None:
            steps.append(size)
            writer.execute("INSERT INTO numbers VALUES (100, zeroblob(1000000))")
            assert len(steps) < 100

        copy_database(tmp_path / "large.db", tmp_path / "copy.db", commit)
        assert len(steps) > 3
        assert sum(steps) == (tmp_path / "copy.db").stat().st_size
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert [number for (number,) in copy.execute("SELECT number FROM numbers")] == [*range(20)]
