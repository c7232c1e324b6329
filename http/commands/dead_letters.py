"""What an operator does about dead letters from a terminal: through the API of a running server, like everyone else."""

import json
from typing import Any
from urllib.parse import quote

import aiohttp

ACTIONS = ("list", "show", "redrive", "drop")
_COLUMNS = ("subscriber", "event", "type", "attempts", "since", "reason")


class CannotAsk(RuntimeError):
    """The server is not there, or refuses; the message says what to do."""


async def dead_letters(url: str, key: str, action: str, subscriber: str, event: str) -> str:
    """Do it; what to tell the operator. Raises `CannotAsk`."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with aiohttp.ClientSession(f"{url.rstrip('/')}/v1/", headers=headers) as session:
            if action in ("list", "show"):
                letters = (await _asked(session, "GET", "dead-letters"))["data"]
                return _table(letters) if action == "list" else _shown(letters, subscriber, event)
            path = f"dead-letters/{quote(subscriber, safe='')}/{quote(event, safe='')}/actions/{action}"
            letter = await _asked(session, "POST", path)
            done = "will be tried again" if action == "redrive" else "was dropped"
            return f"{letter['event']} {done}; later events of {letter['hotel']} follow it to {letter['subscriber']}."
    except aiohttp.ClientConnectionError as error:
        raise CannotAsk(f"no Innkeeper answers at {url}: start it, or give another --url ({error})") from error


async def _asked(session: aiohttp.ClientSession, method: str, path: str) -> dict[str, Any]:
    async with session.request(method, path) as response:
        if response.status == 401:
            raise CannotAsk("this server asks for a key: give one with --key, or in INNKEEPER_KEY")
        told: dict[str, Any] = await response.json(content_type=None)
        if response.status >= 400:
            raise CannotAsk(told.get("detail", response.reason))
        return told


def _shown(letters: list[dict[str, Any]], subscriber: str, event: str) -> str:
    for letter in letters:
        if (letter["subscriber"], letter["event"]) == (subscriber, event):
            trace: str = letter.pop("trace")
            return json.dumps(letter, indent=2, ensure_ascii=False) + "\n\n" + trace.rstrip()
    raise CannotAsk(f"there is no dead letter {event} of {subscriber}; see the command: dead-letters list")


def _table(letters: list[dict[str, Any]]) -> str:
    if not letters:
        return "No dead letters."
    rows = [_COLUMNS, *(tuple(str(letter[column]) for column in _COLUMNS) for letter in letters)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
