"""Power is lost at random operations of a server under load: whatever the disk has then, a server starts on it, and
nothing is missing that had been acknowledged, sent or published.

A killed process does not show this, because what it wrote stays in the memory of the machine. Here each write and sync
of the real program is recorded (`recorder.c`), and what may be on the disk is rebuilt from that (`disk.py`).

`make power CUTS=200` tries more, and prints each cut. A cut is repeated with the same INNKEEPER_POWER_SEED only as far
as the threads of the server do the same again.
"""

import os
import random
import re
from pathlib import Path
from random import Random

import pytest
from power_loss.disk import Disk, Names, Unsynced
from power_loss.history import Cut, History, record
from power_loss.judge import judge
from power_loss.load import SETUP_END
from power_loss.operations import mapped_files

CUTS_MIN = 3
CUTS = int(os.environ.get("INNKEEPER_POWER_CUTS", CUTS_MIN))
SEED = int(os.environ.get("INNKEEPER_POWER_SEED", "0")) or random.randrange(1, 1_000_000)
LOAD_SECONDS = 0.8
FAULT_CHARACTERS_MAX = 2_000
# Files without whose syncs something is lost, and what the test says of it then.
NEEDED_SYNCS = {
    "partition-0.db-wal": "an acknowledged request is lost|it did not start",
    "billing-0.db-wal": "an acknowledged request is lost|it did not start",
    "delivery.db-wal": "an acknowledged request is lost|it did not start",
    "data": "an acknowledged request is lost|it did not start",
    "notifications.db-wal": "letters came again",
    "000000000001.jsonl": "the archive does not have each event once",
}
IGNORED_SYNCS = [*NEEDED_SYNCS][: 1 if CUTS == CUTS_MIN else None]


@pytest.fixture(scope="module", params=["one process", "processes"][: 1 if CUTS == CUTS_MIN else None])
def history(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> History:
    """What a server did under load."""
    print(f"{request.param}, INNKEEPER_POWER_SEED={SEED}")
    return record(tmp_path_factory.mktemp("power"), LOAD_SECONDS, SEED, processes=request.param == "processes")


def files(folder: Path) -> dict[str, bytes]:
    """The content of all files in a folder, without indexes of write-ahead logs."""
    paths = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in paths.items() if not name.endswith("-shm")}


@pytest.mark.slow
def test_the_recorder_misses_nothing(history: History, tmp_path: Path) -> None:
    assert all(path.endswith("-shm") for path in mapped_files(history.operations))
    for names in Names:
        disk = Disk(history.data.parent, names)
        for operation in history.operations:
            disk.carry_out(operation)
        disk.lose_power(tmp_path / names.name, Unsynced.EVERYTHING, Random(SEED))
        assert files(tmp_path / names.name / history.data.name) == files(history.data)
    assert len(history.gone.letters) > 20
    assert len(history.gone.webhooks) > 5
    assert sum(request.is_done for request in history.requests) > 50


@pytest.mark.slow
def test_nothing_is_lost_with_the_power(history: History, tmp_path: Path) -> None:
    faults = list[str]()
    for cut, data in history.rebuilt(history.cuts(CUTS, Random(SEED)), tmp_path):
        try:
            judge(data, history, cut)
        except AssertionError as error:
            faults.append(f"{cut}: {error}"[:FAULT_CHARACTERS_MAX])
        print(f"{cut}: {'wrong' if faults and faults[-1].startswith(str(cut)) else 'right'}", flush=True)
    assert not faults, "\n".join([f"{len(faults)} of {CUTS} cuts:", *faults])


@pytest.mark.slow
@pytest.mark.parametrize("ignored", IGNORED_SYNCS)
def test_a_missing_sync_is_noticed(ignored: str, tmp_path: Path) -> None:
    history = record(tmp_path, LOAD_SECONDS, SEED, f"/{ignored}")
    promised = history.gone.numbers()
    found = list[str]()
    # A checkpoint, which syncs the database itself, may hide it for a while.
    for place in (promised[-1], history.gone.replies[SETUP_END], promised[len(promised) // 2]):
        cut = Cut(place + 1, Names.BY_FOLDER, Unsynced.NOTHING, SEED)
        for _, data in history.rebuilt([cut], tmp_path):
            try:
                judge(data, history, cut)
            except AssertionError as error:
                found.append(str(error))
        if found:
            break
    assert found, "the loss was not noticed"
    assert re.search(NEEDED_SYNCS[ignored], found[0]), found[0]
