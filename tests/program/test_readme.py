"""The commands of the README run against the demo and answer as shown; its links, files and options exist."""

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
    """The demo with its example data."""
    started = ServerProcess(tmp_path / "data", with_example_hotels=True)
    yield started
    started.close()


def shape(value: Any) -> Any:
    """The names in a JSON value, without the values."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(entry) for entry in value] if isinstance(value, list) else None


def test_the_commands_of_the_readme_work_and_answer_as_shown(demo: ServerProcess) -> None:
    require(shutil.which("curl") is not None, "no curl on this machine")
    answers = []
    for block in blocks("sh"):
        first, *commands = re.split(r"\n(?=curl )", block.strip().replace("http://127.0.0.1:8080", demo.url))
        for command in commands:
            script = f"{first}\n{command}"
            done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
            answers.append(json.loads(done.stdout))
    assert len(answers) == 3
    (shown,) = map(json.loads, blocks("json"))
    assert shape(answers[-1]) == shape(shown)


@pytest.mark.parametrize("page", ["README.md", "docs/deploy.md"])
def test_the_commands_of_the_pages_need_no_gnu_options(page: str) -> None:
    """BSD and macOS have another `date`, `sed -i`, `readlink -f` and `stat`."""
    text = (ROOT / page).read_text()
    script = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    assert not re.search(r"\bdate -d|\bsed -i|\breadlink -f|\bstat -c|\bgrep -P", script)


def test_the_links_of_the_readme_have_targets() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_files_that_the_readme_names_exist() -> None:
    for path in re.findall(r"`((?:protocol|actors|storage|http|delivery|tests)/[\w/.]+)`", README):
        assert (ROOT / path).exists(), path


def test_the_files_tests_and_links_of_the_page_on_extending_exist() -> None:
    page = (ROOT / "docs/extending.md").read_text()
    for path in re.findall(r"`((?:protocol|actors|storage|http|delivery|tests)/[\w/.]+)`(?! \(new\))", page):
        assert (ROOT / path).exists(), path
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)[`\[]", page):
        assert f"def {name}(" in tests, name
    anchors = {"#" + title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", page, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)\s]+)\)", page):
        assert target in anchors or (ROOT / "docs" / target).exists(), target


@pytest.mark.parametrize("command", ["demo", "serve", "verify", "replay", "dead-letters"])
def test_the_options_in_the_readme_exist_on_the_command_line(command: str) -> None:
    help = run_to_end(command, "--help")
    assert help.returncode == 0
    (line,) = [line for line in README.splitlines() if line.startswith("|") and f"run.py {command}" in line]
    known = set(re.findall(r"--[a-z]+", help.stdout))
    assert set(re.findall(r"--[a-z]+", line)) <= known
