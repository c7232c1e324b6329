"""The night of docs/night.md, request by request."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from support.gateway import Gateway
from support.gateway import gateway as running_gateway
from support.paths import ROOT

PAGE = (ROOT / "docs" / "night.md").read_text(encoding="utf-8")
_REQUEST = re.compile(r"(?P<method>[A-Z]+) (?P<path>\S+)\n(?P<body>\{.*\n)?\n(?P<status>\d+)(?: (?P<name>\w+))?\n(?P<shown>.*)", re.DOTALL)  # fmt: skip  # noqa: E501


class Step(NamedTuple):
    """A request of the page at a time, and the answer that is shown; `name` is what the booking is called from then
    on."""

    at: str
    method: str
    path: str
    body: str
    status: int
    name: str | None
    shown: str


def steps() -> Iterator[Step]:
    """The requests of the page, in order."""
    for day, clock, part in re.findall(r"^## (\d) June, (\d\d:\d\d): (.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE):
        for block in re.findall(r"```http\n(.*?)```", part, re.DOTALL):
            match = _REQUEST.fullmatch(block)
            assert match is not None, block
            status = int(match["status"])
            yield Step(
                f"2026-06-0{day}T{clock}", match["method"], match["path"], match["body"] or "{}", status,
                match["name"], match["shown"],
            )  # fmt: skip


def has(answer: Any, shown: Any) -> bool:
    """Whether the answer has all that is shown: members of objects, and entries of lists."""
    if isinstance(shown, dict):
        return isinstance(answer, dict) and all(name in answer and has(answer[name], shown[name]) for name in shown)
    if isinstance(shown, list):
        return isinstance(answer, list) and all(any(has(entry, one) for entry in answer) for one in shown)
    return bool(answer == shown)


def test_the_night_of_the_page(tmp_path: Path) -> None:
    known: dict[str, str] = {}

    def filled(text: str) -> str:
        return re.sub(r"\{(\w+(?:\.\w+)?)\}", lambda match: known.get(match[1], match[0]), text)

    with running_gateway(tmp_path / "data") as gateway:
        played = [
            play(gateway, step, known, filled(step.path), filled(step.body), filled(step.shown)) for step in steps()
        ]
    assert len(played) == PAGE.count("```http")


def play(gateway: Gateway, step: Step, known: dict[str, str], path: str, body: str, shown: str) -> None:
    """Send the request of a step at its time, and check the answer."""
    gateway.set_clock(step.at)
    reply = gateway.get(path) if step.method == "GET" else gateway.send(step.method, path, json.loads(body))
    assert reply.status == step.status, (step, reply.json)
    assert has(reply.json, json.loads(shown)), (step.path, reply.json.get("room"), reply.json)
    if step.name is not None:
        known |= {step.name: reply.json["id"], f"{step.name}.locator": reply.json["locator"]}
