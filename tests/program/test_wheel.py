"""The wheel, installed with pip in a new environment, and run in a folder without the source tree."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from support.paths import ROOT
from support.required_tools import require

FOLDERS = ("protocol", "actors", "storage", "http", "delivery")
NOT_COPIED = shutil.ignore_patterns(".*", "build", "data", "*.egg-info", "__pycache__")
INSTALL_SECONDS_MAX = 300
STEP_SECONDS_MAX = 60
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("INNKEEPER_", "PYTHON"))}


def pip(python: Path | str, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """Run pip of this Python."""
    command = [python, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, env=ENVIRONMENT, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    index = pip(sys.executable, "download", "--retries", "1", "--no-deps", "--dest", folder, "setuptools>=77")
    require(index.returncode == 0, f"no package index can be reached: {index.stderr.strip()[-200:]}")
    source = shutil.copytree(ROOT, folder / "source", ignore=NOT_COPIED)
    built = pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", folder, source)
    assert built.returncode == 0, built.stderr
    (made,) = folder.glob("innkeeper-*.whl")
    return made


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment in which only the wheel and its dependencies are installed."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=INSTALL_SECONDS_MAX)
    programs = environment / "bin"
    installed = pip(programs / "python", "install", "--constraint", ROOT / "constraints.txt", wheel)
    assert installed.returncode == 0, installed.stderr
    return programs


@contextmanager
def demo(programs: Path, folder: Path, *options: str) -> Iterator[str]:
    """The URL of `innkeeper demo`, run in this folder."""
    command = [programs / "innkeeper", "demo", "--port", "0", *options]
    with (folder / "log").open("w+") as log:
        process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=log, text=True)
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            match = re.search(r"http://[0-9.:]+", line)
            assert match is not None, line
            yield match[0]
            process.terminate()
            errors = process.communicate(timeout=STEP_SECONDS_MAX)[1]
            assert process.returncode == 0, errors
        finally:
            process.kill()
            process.communicate()


def fetched(url: str, body: Any = None) -> bytes:
    """The body of the server's response."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=STEP_SECONDS_MAX) as answer:
        text: bytes = answer.read()
    return text


def test_only_the_program_is_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {"/".join(name.split("/")[:2]) for name in names if ".dist-info/" not in name}
    assert top == {"innkeeper/run.py", *(f"innkeeper/{folder}" for folder in FOLDERS)}
    parts = {
        f"innkeeper/{path.relative_to(ROOT).as_posix()}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert parts <= set(names), "the program needs every file in these folders"


@pytest.mark.slow
def test_an_installed_demo_takes_bookings_and_shows_its_pages(programs: Path, tmp_path: Path) -> None:
    with demo(programs, tmp_path) as url:
        hotel = f"{url}/v1/hotels/hotel-do-mar"
        arrival = date.fromisoformat(json.loads(fetched(hotel))["business_date"]) + timedelta(days=60)
        stay = {"room_type": "DBL", "arrival": str(arrival), "departure": str(arrival + timedelta(days=2))}
        booking = json.loads(fetched(f"{hotel}/bookings", {**stay, "adults": 2, "guest": {"name": "Ana Sousa"}}))
        assert booking["status"] == "confirmed"
        assert json.loads(fetched(f"{hotel}/bookings/{booking['id']}")) == booking
        for page in ("/", "/docs"):
            text = fetched(url + page).decode()
            parts = re.findall(r'(?:src|href)="(/pages/[^"]+)"', text)
            assert {Path(part).suffix for part in parts} == {".js", ".css"}
            for part in parts:
                assert fetched(url + part) == (ROOT / "http" / part.removeprefix("/")).read_bytes()
    verified = subprocess.run(
        [programs / "python", "-m", "innkeeper.run", "verify"], cwd=tmp_path, env=ENVIRONMENT,
        capture_output=True, text=True, timeout=STEP_SECONDS_MAX, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["violations"] == []


@pytest.mark.slow
def test_an_installed_demo_of_several_processes_answers(programs: Path, tmp_path: Path) -> None:
    with demo(programs, tmp_path, "--processes", "--empty") as url:
        assert json.loads(fetched(f"{url}/health/ready")) == {"status": "ready"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["innkeeper"], "innkeeper"),
        (["python", "-m", "innkeeper.run"], "python -m innkeeper.run"),
        (["python", str(ROOT / "run.py")], "run.py"),
    ],
    ids=["program", "module", "script"],
)
def test_help_shows_the_name_that_the_program_was_called_by(
    command: list[str], name: str, programs: Path, tmp_path: Path
) -> None:
    def output(*arguments: str) -> str:
        typed = [programs / command[0], *command[1:], *arguments]
        done = subprocess.run(
            typed, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=STEP_SECONDS_MAX, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert output("--help").startswith(f"Usage: {name} [OPTIONS] COMMAND [ARGS]...\n")
    assert output("demo", "--help").startswith(f"Usage: {name} demo [OPTIONS]\n")
    assert re.fullmatch(r"innkeeper \d+\.\d+\.\d+\S*\n", output("--version"))
