"""What the program writes is its owner's alone: it holds guests, letters and secrets."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from innkeeper.protocol.values.operator_error import EXIT_USAGE
from innkeeper.storage.data_directory import DataDirectory, DataUnusable
from support.gateway import hotel_request, send, stay_request
from support.installation import Installation
from support.server_process import ServerProcess, run_to_end
from support.waiting import wait_until

STEP_SECONDS_MAX = 60
OF_OTHERS = 0o077
USUAL_UMASK = 0o022
NOBODY = 65_534


def open_to_others(folder: Path) -> dict[str, str]:
    """The files and folders that others may read, write or enter, with their modes."""
    modes = {path: path.lstat().st_mode for path in [folder, *folder.rglob("*")]}
    return {
        str(path.relative_to(folder.parent)): stat.filemode(mode) for path, mode in modes.items() if mode & OF_OTHERS
    }


def use(url: str, data: Path) -> None:
    """Book with a letter, and add a webhook; wait until all of it is on disk."""
    port = urlsplit(url).port or 0
    opened = send(port, "POST", "/v1/hotels", {**hotel_request(), "id": "seaside", "business_date": None})
    assert opened.status == 201, opened
    day = date.fromisoformat(opened.json["business_date"])
    dates = {"arrival": str(day), "departure": str(day + timedelta(days=1))}
    guest = {"name": "Ana Sousa", "email": "ana@example.com"}
    booked = send(port, "POST", "/v1/hotels/seaside/bookings", {**stay_request(), **dates, "guest": guest})
    assert booked.status == 201, booked
    hook = {"url": "http://127.0.0.1:9/", "events": ["innkeeper.booking.*"]}
    assert send(port, "POST", "/v1/webhooks", hook, {"Idempotency-Key": "a-webhook"}).status == 201
    wait_until(lambda: any((data / "mail").glob("*.eml")), STEP_SECONDS_MAX)
    wait_until(lambda: any((data / "archive").rglob("*.jsonl")), STEP_SECONDS_MAX)


def test_no_file_of_the_demo_is_open_to_others(tmp_path: Path) -> None:
    with closing(ServerProcess(tmp_path / "data", umask=USUAL_UMASK)) as server:
        use(server.url, server.data)
        assert open_to_others(server.data) == {}
        names = {path.name for path in server.data.rglob("*")}
        assert names >= {"installation.json", "lock", "partition-0.db", "billing.db-wal", "views-0.db", "delivery.key"}
        assert names >= {"mail", "archive", "simulated-provider.secret"}
        assert server.stop()[0] == 0
        assert open_to_others(server.data) == {}


def test_no_file_of_an_installation_of_processes_is_open_to_others(tmp_path: Path) -> None:
    was = os.umask(USUAL_UMASK)
    try:
        installation = Installation(tmp_path / "data")
    finally:
        os.umask(was)
    try:
        use(installation.url, installation.data)
        assert open_to_others(installation.data) == {}
        assert (installation.data / "billing.lock").exists()
    finally:
        installation.close()


def test_a_directory_that_is_open_to_others_is_closed_to_them_with_a_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (data := tmp_path / "data").mkdir()
    data.chmod(0o755)
    DataDirectory(data).installation()
    with DataDirectory(data).lock():
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert [record.message for record in caplog.records] == [
        f"{data} was open to other users (755); it is its owner's alone now"
    ]


def test_a_directory_that_all_users_share_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (data := tmp_path / "data").mkdir()
    data.chmod(0o1777)
    refused = run_to_end("demo", "--port", "0", "--data", data)
    assert (refused.returncode, refused.stderr.count("\n")) == (EXIT_USAGE, 1), refused.stderr
    assert "is shared by all users" in refused.stderr
    assert (stat.S_IMODE(data.stat().st_mode), [*data.iterdir()]) == (0o1777, [])


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that any user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="innkeeper-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_open_directory_of_another_user_is_refused(reachable: Path) -> None:
    os.seteuid(NOBODY)
    try:
        with pytest.raises(DataUnusable, match=r"is open to other users \(777\) and cannot be closed"):
            DataDirectory(reachable).installation()
    finally:
        os.seteuid(0)
    assert [*reachable.iterdir()] == []
