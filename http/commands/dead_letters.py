"""Lists, shows, redrives and drops dead letters through the HTTP API of a running server."""

import json
from typing import Any
from urllib.parse import quote

import aiohttp

_COLUMNS = ("subscriber", "event", "type", "attempts", "since", "reason")


class ServerUnreachable(RuntimeError):
    """The server does not answer, or refuses the request; the message says what to do."""


async def dead_letters(url: str, key: str, action: str, subscriber: str, event: str) -> str:
    """Carries out an action; returns the text for the operator. Raises `ServerUnreachable`."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with aiohttp.ClientSession(f"{url.rstrip('/')}/v1/", headers=headers) as session:
            if action in ("list", "show"):
                letters = (await _request(session, "GET", "dead-letters"))["data"]
                return _table(letters) if action == "list" else _details(letters, subscriber, event)
            path = f"dead-letters/{quote(subscriber, safe='')}/{quote(event, safe='')}/actions/{action}"
            letter = await _request(session, "POST", path)
            done = "will be tried again" if action == "redrive" else "was dropped"
            return f"{letter['event']} {done}; later events of {letter['hotel']} then go to {letter['subscriber']}."
    except aiohttp.ClientConnectionError as error:
        raise ServerUnreachable(f"no Innkeeper answers at {url}; start it, or set --url ({error})") from error


async def _request(session: aiohttp.ClientSession, method: str, path: str) -> dict[str, Any]:
    async with session.request(method, path) as response:
        if response.status == 401:
            raise ServerUnreachable("the server requires an API key; set --key or INNKEEPER_KEY")
        answer: dict[str, Any] = await response.json(content_type=None)
        if response.status >= 400:
            raise ServerUnreachable(answer.get("detail", response.reason))
        return answer


def _details(letters: list[dict[str, Any]], subscriber: str, event: str) -> str:
    for letter in letters:
        if (letter["subscriber"], letter["event"]) == (subscriber, event):
            trace: str = letter.pop("trace")
            return json.dumps(letter, indent=2, ensure_ascii=False) + "\n\n" + trace.rstrip()
    raise ServerUnreachable(f"there is no dead letter {event} of {subscriber}; the command dead-letters list shows all")


def _table(letters: list[dict[str, Any]]) -> str:
    if not letters:
        return "No dead letters."
    rows = [_COLUMNS, *(tuple(str(letter[column]) for column in _COLUMNS) for letter in letters)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
