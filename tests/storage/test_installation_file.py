"""A data directory says which installation it is. One that is damaged, incomplete or of another form is refused."""

import json
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED, EXIT_USAGE
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.installation_file import DataRefused
from innkeeper.storage.sqlite.storage import SqliteStorage
from support.bit_flips import flipped_bits
from support.consumer_checks import RemoteLog
from support.server_process import ServerProcess, run_to_end

Damage = Callable[[Path], None]


def made(folder: Path, name: str | None = None) -> DataDirectory:
    """A data directory with a database of each kind."""
    data = DataDirectory(folder)
    data.installation(name, 2)
    for opened in OPENERS.values():
        opened(SqliteStorage(data))
    return data


def _views(storage: SqliteStorage) -> None:
    with storage.views("reservations-0", RemoteLog(0)):
        pass


def _store(storage: SqliteStorage) -> None:
    with storage.service_store("billing"):
        pass


OPENERS: dict[str, Callable[[SqliteStorage], Any]] = {
    "partition-0.db": lambda storage: storage.journal("reservations-0").close(),
    "billing-0.db": lambda storage: storage.journal("billing").close(),
    "billing.db": _store,
    "views-0.db": _views,
    "billing-inbox.db": lambda storage: storage.inbox("billing", {}).close(),
}


def _first_form(data: Path) -> None:
    (data / "installation.json").unlink()
    (data / "partitions").write_text("2\n")


def _lost_file(data: Path) -> None:
    (data / "installation.json").unlink()


def _changed(**fields: object) -> Damage:
    def change(data: Path) -> None:
        file = data / "installation.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))

    return change


def _brackets(data: Path) -> None:
    (data / "installation.json").write_bytes(b'{"a":' * 100_000)


def _cut_short(data: Path) -> None:
    file = data / "installation.json"
    file.write_bytes(file.read_bytes()[:40])


DAMAGES: dict[str, tuple[Damage, str]] = {
    "of form 1": (_first_form, r"was made by Innkeeper 0\.1 \(form 1\)"),
    "without its file": (_lost_file, "installation.json is missing although there are databases; restore it"),
    "of a newer form": (_changed(form=3), r"was made by a newer Innkeeper \(form 3"),
    "with another number of partitions": (_changed(partitions=3), "is damaged .*checksum.* restore it"),
    "with a name that is none": (_changed(name="../north"), "is damaged"),
    "with a file of brackets": (_brackets, "is damaged"),
    "with a file that was cut short": (_cut_short, "is damaged"),
    "with an empty file": (lambda data: (data / "installation.json").write_bytes(b"") and None, "is damaged"),
}
COMMANDS = [["demo", "--port", "0"], ["demo", "--port", "0", "--processes"], ["verify"], ["billing"], ["reservations"]]


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """The files of a folder, with their modes."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_directory_that_cannot_be_used_is_refused_and_stays_as_it_is(damage: str, tmp_path: Path) -> None:
    change, message = DAMAGES[damage]
    change(made(tmp_path / "data").path)
    (tmp_path / "data").chmod(0o755)  # not even its permissions are changed
    before = contents(tmp_path / "data")
    with pytest.raises(DataRefused, match=message) as refused:
        DataDirectory(tmp_path / "data").installation()
    assert refused.value.exit_code == EXIT_DAMAGED
    assert contents(tmp_path / "data") == before


def test_an_installation_with_any_flipped_bit_is_refused_or_the_same(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    expected = data.installation("north", 2)
    file, messages = tmp_path / "installation.json", list[str]()
    for damaged in flipped_bits(file.read_bytes()):
        file.write_bytes(damaged)
        try:
            assert data.installation() == expected  # a name of a field that nobody reads, or a space
        except DataRefused as refused:
            messages.append(str(refused))
    assert len(messages) > 8 * 100
    assert not [message for message in messages if "\n" in message]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_refuses_a_directory_of_the_first_form_with_one_line(command: list[str], tmp_path: Path) -> None:
    _first_form(made(tmp_path / "data").path)
    before = contents(tmp_path / "data")
    refused = run_to_end(*command, "--data", tmp_path / "data", seconds=30)
    assert (refused.returncode, refused.stderr.count("\n")) == (EXIT_DAMAGED, 1), refused.stderr
    assert "form 1" in refused.stderr
    assert contents(tmp_path / "data") == before


def test_a_file_is_no_data_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    refused = run_to_end("demo", "--port", "0", "--data", tmp_path / "data")
    assert (refused.returncode, refused.stderr.count("\n")) == (EXIT_USAGE, 1), refused.stderr
    assert "choose another with --data" in refused.stderr


def test_the_name_is_given_once_and_holds(tmp_path: Path) -> None:
    data = made(tmp_path / "data", "north")
    installation = data.installation()
    assert (installation.name, installation.partitions) == ("north", 2)
    assert re.fullmatch("[0-9a-f]{32}", installation.id)
    assert len({installation.id, installation.timeline}) == 2
    assert data.installation("north") == installation
    refused = run_to_end("demo", "--port", "0", "--data", data.path, "--installation", "south")
    assert (refused.returncode, refused.stderr.count("\n")) == (EXIT_USAGE, 1), refused.stderr
    assert "'north'" in refused.stderr
    assert "'south'" in refused.stderr
    assert DataDirectory(tmp_path / "other").installation().name == "innkeeper"


def test_a_part_that_runs_alone_refuses_another_name(tmp_path: Path) -> None:
    data = made(tmp_path / "data", "north")
    refused = run_to_end("billing", "--data", data.path, "--installation", "south", seconds=30)
    assert (refused.returncode, refused.stderr.count("\n")) == (EXIT_USAGE, 1), refused.stderr


@pytest.mark.parametrize("name", ["", "North", "north_1", "-north", "n" * 65, "north/../south", "nördlich"])
def test_a_name_is_a_short_word_that_any_broker_takes(name: str, tmp_path: Path) -> None:
    ended = run_to_end("verify", "--data", tmp_path / "data") if not name else None
    assert ended is None or ended.returncode == EXIT_USAGE
    if name:
        refused = run_to_end("demo", "--port", "0", "--data", tmp_path / "data", "--installation", name)
        assert refused.returncode == EXIT_USAGE, refused.stderr
        assert "--installation" in refused.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("file", OPENERS)
def test_a_database_of_another_installation_is_refused(file: str, tmp_path: Path) -> None:
    data, other = made(tmp_path / "data"), made(tmp_path / "other")
    (data.path / file).write_bytes((other.path / file).read_bytes())
    with pytest.raises(DataRefused, match=f"{file} belongs to another installation") as refused:
        OPENERS[file](SqliteStorage(data))
    assert refused.value.exit_code == EXIT_DAMAGED


@pytest.mark.parametrize("file", OPENERS)
def test_a_database_without_a_stamp_is_refused(file: str, tmp_path: Path) -> None:
    data = made(tmp_path / "data")
    with closing(sqlite3.connect(data.path / file)) as db:
        db.execute("DROP TABLE installation")
    with pytest.raises(DataRefused, match=f"{file} does not say to which installation it belongs"):
        OPENERS[file](SqliteStorage(data))


def test_an_emptied_journal_does_not_begin_anew(tmp_path: Path) -> None:
    data = made(tmp_path / "data")
    (data.path / "partition-0.db").write_bytes(b"")
    with pytest.raises(DataRefused, match="does not say"):
        SqliteStorage(data).journal("reservations-0")


@pytest.mark.parametrize("file", ["partition-0.db", "billing-0.db", "notifications.db", "delivery.db"])
def test_a_database_that_is_lost_is_not_made_anew(file: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with closing(ServerProcess(data)) as server:
        assert server.stop()[0] == 0
    (data / file).unlink()
    refused = run_to_end("demo", "--port", "0", "--data", data)
    assert (refused.returncode, refused.stderr.count("\n")) == (EXIT_DAMAGED, 1), refused.stderr
    assert f"{file} is missing, but was there before; restore it" in refused.stderr
    if file.endswith("-0.db"):
        assert run_to_end("accept-rollback", "--data", data).returncode == 0
    else:
        (data / "made" / file.removesuffix(".db")).unlink()
    with closing(ServerProcess(data)) as server:
        assert server.stop()[0] == 0


def test_a_journal_of_another_installation_is_refused_with_one_line(tmp_path: Path) -> None:
    for folder in ("data", "other"):
        data = DataDirectory(tmp_path / folder)
        data.installation()
        SqliteStorage(data).locator_key()
        SqliteStorage(data).journal("reservations").close()
    (tmp_path / "data/partition-0.db").write_bytes((tmp_path / "other/partition-0.db").read_bytes())
    for command in (["demo", "--port", "0"], ["verify"]):
        refused = run_to_end(*command, "--data", tmp_path / "data")
        assert (refused.returncode, refused.stderr.count("\n")) == (EXIT_DAMAGED, 1), refused.stderr
        assert "belongs to another installation" in refused.stderr


def test_read_models_that_are_made_again_keep_their_stamp(tmp_path: Path) -> None:
    data = made(tmp_path / "data")
    with closing(sqlite3.connect(data.views("reservations-0"))) as db:
        db.execute("PRAGMA user_version = 1000")
    _views(SqliteStorage(data))
    _views(SqliteStorage(data))


def test_a_migration_that_a_loss_of_power_has_interrupted_is_rolled_back(tmp_path: Path) -> None:
    data = made(tmp_path / "data")
    path, interrupted = data.service("billing"), data.service("interrupted")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA cache_size = 1")  # pages go to the file before the commit
        db.execute("BEGIN")
        db.execute("CREATE TABLE newer (content)")
        db.executemany("INSERT INTO newer VALUES (?)", [("x" * 9_000,) for _ in range(20)])
        for ending in ("", "-journal"):
            (copy := path.with_name(f"{interrupted.name}{ending}")).write_bytes(
                path.with_name(f"{path.name}{ending}").read_bytes()
            )
            assert copy.stat().st_size
    with SqliteStorage(data).service_store("interrupted"):
        pass
    with closing(sqlite3.connect(interrupted)) as db:
        assert not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'newer'").fetchone()[0]


def test_the_names_of_a_new_data_directory_and_of_those_above_it_are_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = list[str](), os.fsync

    def noted(file: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{file}"))
        fsync(file)

    monkeypatch.setattr(os, "fsync", noted)
    DataDirectory(tmp_path / "srv/inn").installation()
    assert {str(tmp_path.resolve()), str(tmp_path.resolve() / "srv")} <= {*synced}
