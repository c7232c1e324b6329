"""Commands that are clients of the HTTP API of a server."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

from innkeeper.http.commands.command_line import CannotRun
from innkeeper.http.commands.dead_letters import ServerUnreachable, dead_letters
from innkeeper.http.commands.replay import HistoryError, own_server, play

_RUN = Path(__file__).parents[2] / "run.py"


async def replay(options: SimpleNamespace) -> None:
    """Replay a booking history through the HTTP API of a running server, or of one that is started for the replay."""
    try:
        async with own_server(_RUN) if not options.url else nullcontext(options.url) as url:
            history, rooms, has_terminal = options.history, options.rooms, sys.stderr.isatty()
            tally, decisions = await play(url, options.key, options.hotel, history, rooms, has_terminal)
    except HistoryError as error:
        raise CannotRun(str(error)) from None
    if options.decisions:
        options.decisions.write_text(decisions, encoding="ascii")
    print(json.dumps(tally))


async def manage_dead_letters(options: SimpleNamespace) -> None:
    """List the dead letters of all subscribers, show one with its traceback, redrive it, or drop it."""
    try:
        print(await dead_letters(options.url, options.key, options.action, options.subscriber, options.event))
    except ServerUnreachable as error:
        raise CannotRun(str(error)) from None
