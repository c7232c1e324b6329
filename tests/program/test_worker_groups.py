"""When several processes run the tests, those that would disturb each other run in the same one."""

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from support.paths import ROOT
from support.worker_groups import LONGEST, SHARED

CONFTEST = """
import pytest
from support.worker_groups import check_groups, group_tests

@pytest.fixture
def rabbitmq():
    pass

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    group_tests(items)

def pytest_collection_finish(session):
    if hasattr(session.config, "workerinput"):
        check_groups(session.items)
"""
TESTS = """
import os
import pytest

def ran(group):
    with open("ran", "a") as log:
        log.write(f"{group} {os.environ['PYTEST_XDIST_WORKER']}\\n")

@pytest.mark.parametrize("number", range(8))
def test_broker(rabbitmq, number):
    ran("rabbitmq")

@pytest.mark.parametrize("number", range(8))
def test_file(number):
    ran(__name__)
"""


@pytest.mark.slow
def test_tests_of_the_broker_and_tests_of_a_file_run_in_one_process_each(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for name in ("test_one.py", "test_two.py"):
        (tmp_path / name).write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist=loadgroup", "-c", "pytest.ini", "--rootdir=."]
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT / 'tests'}\n")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    processes = defaultdict[str, set[str]](set)
    for line in (tmp_path / "ran").read_text().splitlines():
        group, process = line.split()
        processes[group].add(process)
    assert processes.keys() == {"rabbitmq", "test_one", "test_two"}
    assert {len(used) for used in processes.values()} == {1}, processes


def test_the_groups_that_start_first_exist() -> None:
    assert set(LONGEST) <= {*SHARED.values(), *(path.name for path in (ROOT / "tests").rglob("test_*.py"))}
