"""A real browser without a screen: Chromium, controlled over its DevTools protocol."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import aiohttp
from support.required_tools import require

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
SECONDS_MAX = 30


class Page:
    """One open page."""

    def __init__(self, runner: asyncio.Runner, devtools: aiohttp.ClientWebSocketResponse) -> None:
        self._runner = runner
        self._devtools = devtools
        self._number = 0

    def evaluate(self, script: str) -> Any:
        """The value of this JavaScript expression."""
        return self._runner.run(self._evaluate(script))

    async def _evaluate(self, script: str) -> Any:
        self._number += 1
        parameters = {"expression": script, "returnByValue": True, "awaitPromise": True}
        await self._devtools.send_json({"id": self._number, "method": "Runtime.evaluate", "params": parameters})
        while (reply := await self._devtools.receive_json(timeout=SECONDS_MAX)).get("id") != self._number:
            pass
        return reply["result"]["result"].get("value")

    def wait_until(self, condition: str) -> None:
        """Wait until this JavaScript is true."""
        until = monotonic() + SECONDS_MAX
        while not self.evaluate(condition):
            assert monotonic() < until, f"not so within {SECONDS_MAX} s: {condition}\n{self.html()}"
            sleep(0.05)

    def html(self) -> str:
        """The current HTML of the page."""
        return str(self.evaluate("document.documentElement.outerHTML"))


@contextmanager
def open_page(url: str, profile: Path, *options: str) -> Iterator[Page]:
    """Open this page in a new browser with these options; skips the test if there is no browser."""
    require(CHROMIUM is not None, "no Chromium on this machine; on Debian: apt install chromium")
    command = [str(CHROMIUM), *OPTIONS, *options, f"--user-data-dir={profile}", "--remote-debugging-port=0", url]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        with asyncio.Runner() as runner:
            session, devtools = runner.run(_connect(_devtools_port(profile), url))
            try:
                yield Page(runner, devtools)
            finally:
                runner.run(session.close())
    finally:
        process.terminate()
        process.wait(SECONDS_MAX)


def _devtools_port(profile: Path) -> int:
    ports, until = profile / "DevToolsActivePort", monotonic() + SECONDS_MAX
    while not (ports.exists() and "\n" in ports.read_text()):
        assert monotonic() < until, "the browser did not start"
        sleep(0.02)
    return int(ports.read_text().splitlines()[0])


async def _connect(port: int, url: str) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
    session = aiohttp.ClientSession()
    until = monotonic() + SECONDS_MAX
    while monotonic() < until:
        async with session.get(f"http://127.0.0.1:{port}/json/list") as reply:
            pages = [page for page in await reply.json() if page["url"] == url]
        if pages:
            return session, await session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
        await asyncio.sleep(0.02)
    await session.close()
    raise AssertionError(f"the browser does not show {url}")
