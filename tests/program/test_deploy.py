"""The commands of docs/deploy.md start an installation of many processes that answers as the page says."""

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from innkeeper.protocol.values.contexts import BILLING, DELIVERY, GATEWAY, NOTIFICATIONS, RESERVATIONS
from support.installation import is_alive
from support.installations import INSTALLATION, NAMES, names_in
from support.paths import ROOT
from support.rabbitmq_queues import delete_queues
from support.required_tools import require
from support.waiting import wait_until

PAGE = (ROOT / "docs/deploy.md").read_text()
PARTS = {RESERVATIONS, BILLING, NOTIFICATIONS, DELIVERY, GATEWAY}
SUBSCRIBERS = {"billing", "notifications", "archive", "broker-billing"}
STEP_SECONDS_MAX = 60


def _responses(commands: str, folder: Path) -> list[Any]:
    """The JSON of each response to these commands."""
    done = subprocess.run(
        ["sh", "-ec", commands],
        cwd=folder, capture_output=True, text=True, timeout=STEP_SECONDS_MAX, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr + (folder / "log").read_text()
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def _names(listing: Any) -> set[str]:
    """The names in a list of subscribers. Those of a part that is still starting are missing."""
    return {subscriber["name"] for subscriber in listing["data"]}


def test_the_commands_of_the_page_work_in_an_empty_directory(rabbitmq: str, tmp_path: Path) -> None:
    require(shutil.which("curl") is not None, "no curl on this machine")
    begin, ask, end, *_ = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    begin = begin.replace("make .venv/ready\n", "").replace(".venv/bin/python", sys.executable)
    begin = begin.replace("amqp://guest:guest@127.0.0.1/", rabbitmq)
    begin = begin.replace(" run.py", f" {ROOT}/run.py").replace("gateway &", f"gateway --port {port} &")
    with (tmp_path / "log").open("w") as log:
        subprocess.run(["sh", "-ec", begin], cwd=tmp_path, check=True, stdout=log, stderr=log)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    try:
        ask = ask.replace("8080", str(port)).replace("-sf ", "-sf -w '\\n' ")
        ready, _, hotel, ledger = _responses(ask, tmp_path)
        assert ready["status"] == "ready"
        key, subscribers = ask.splitlines()[1:3]
        wait_until(lambda: _names(*_responses(f"{key}\n{subscribers}", tmp_path)) >= SUBSCRIBERS, STEP_SECONDS_MAX)
        assert hotel["id"] == "seaside"
        assert "accounts" in ledger
        subprocess.run(["sh", "-ec", end], cwd=tmp_path, check=True)
        wait_until(lambda: not any(map(is_alive, pids)), STEP_SECONDS_MAX)
    finally:
        for pid in filter(is_alive, pids):
            os.kill(pid, signal.SIGKILL)
        asyncio.run(delete_queues(rabbitmq, names_in(tmp_path)))


@pytest.mark.slow
def test_the_containers_of_the_compose_file_run_every_part() -> None:
    compose = yaml.safe_load((ROOT / "docs/deploy/compose.yaml").read_text())
    commands = [service["command"] for service in compose["services"].values() if "command" in service]
    assert {command[0] for command in commands} == PARTS
    for command in commands:
        help = subprocess.run(
            [sys.executable, str(ROOT / "run.py"), command[0], "--help"], capture_output=True, text=True, check=True
        )
        assert set(re.findall(r"--\w+", " ".join(command))) <= set(re.findall(r"--\w+", help.stdout))


def test_the_compose_file_passes_the_variables_on_that_the_page_names() -> None:
    compose = yaml.safe_load((ROOT / "docs/deploy/compose.yaml").read_text())
    section = PAGE.partition("## With containers\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"INNKEEPER_\w+", section))
    assert named
    for name in named:
        assert compose["services"]["gateway"]["environment"][name] == f"${{{name}:-}}"


def test_its_unit_names_the_parts_that_there_are() -> None:
    unit = (ROOT / "docs/deploy/innkeeper@.service").read_text()
    assert "run.py %i" in unit
    assert set(re.findall(r"innkeeper@(\w+)", PAGE)) - {"service"} == PARTS


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#]+)\)", PAGE))
def test_the_links_of_the_page_have_targets(target: str) -> None:
    assert (ROOT / "docs" / target).exists()


def test_the_page_names_the_exchanges_and_topics_as_they_are() -> None:
    names = NAMES._replace(installation=msgspec.structs.replace(INSTALLATION, name="NAME"))
    for name in (names.events, names.dead_exchange, names.dead_topic, *names.headers):
        assert f"`{name}`" in PAGE
    assert f"`{names.consumer('SERVICE').replace(INSTALLATION.short_id, 'ID')}`" in PAGE
