"""What the README shows is true: its commands run against the demo, and answer with what it says they answer."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT
from support.required_tools import require
from support.server_process import ServerProcess, run_to_end

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The code blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[ServerProcess]:
    """The furnished demo."""
    started = ServerProcess(tmp_path / "data", with_example_hotels=True)
    yield started
    started.close()


def shape(value: Any) -> Any:
    """The names in a JSON value, without what they hold."""
    if isinstance(value, dict):
        return {name: shape(held) for name, held in value.items()}
    return [shape(entry) for entry in value] if isinstance(value, list) else None


def test_its_commands_work_and_answer_as_shown(demo: ServerProcess) -> None:
    require(shutil.which("curl") is not None, "no curl on this machine")
    answers = []
    for block in blocks("sh"):
        first, *commands = re.split(r"\n(?=curl )", block.strip().replace("http://127.0.0.1:8080", demo.url))
        for command in commands:
            typed = f"{first}\n{command}"
            done = subprocess.run(["sh", "-c", typed], capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 0, f"{typed}\n{done.stdout}{done.stderr}"
            answers.append(json.loads(done.stdout))
    assert len(answers) == 3
    (shown,) = map(json.loads, blocks("json"))
    assert shape(answers[-1]) == shape(shown)


@pytest.mark.parametrize("page", ["README.md", "docs/deploy.md"])
def test_commands_to_type_do_without_what_only_gnu_has(page: str) -> None:
    """BSD and macOS have another `date`, `sed -i`, `readlink -f` and `stat`."""
    text = (ROOT / page).read_text()
    typed = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    assert not re.search(r"\bdate -d|\bsed -i|\breadlink -f|\bstat -c|\bgrep -P", typed)


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_files_of_its_tour_are_there() -> None:
    for path in re.findall(r"`((?:protocol|actors|storage|http|delivery|tests)/[\w/.]+)`", README):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("command", ["demo", "serve", "verify", "replay", "dead-letters"])
def test_its_options_are_those_of_the_command_line(command: str) -> None:
    told = run_to_end(command, "--help")
    assert told.returncode == 0
    (line,) = [line for line in README.splitlines() if line.startswith("|") and f"run.py {command}" in line]
    known = set(re.findall(r"--[a-z]+", told.stdout))
    assert set(re.findall(r"--[a-z]+", line)) <= known
