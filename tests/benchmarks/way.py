"""Counts the files, functions and calls of ours that one booking passes through: python tests/benchmarks/way.py

Once until its response, with all subscribers paused; once until every subscriber has handled it. All threads of a
server in this process are traced; the client's is not. Calls are counted on Python 3.11: later versions inline
comprehensions.
"""

import argparse
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.gateway import Gateway, gateway, stay_request
from support.paths import ROOT
from support.waiting import wait_until

_FOLDERS = tuple(f"{ROOT / folder}/" for folder in ("protocol", "actors", "storage", "http", "delivery"))
_WARM_UP_BOOKINGS = 20
_REST_SECONDS_MAX = 30


class Trace:
    """The calls of our functions while `counting`, in every thread that starts after `install`."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.counting = False

    def install(self) -> None:
        """Traces the threads that start from now on."""
        threading.setprofile(self._on_event)

    def _on_event(self, frame: FrameType, event: str, _: Any) -> None:
        if self.counting and event == "call" and frame.f_code.co_filename.startswith(_FOLDERS):
            self.calls[frame.f_code.co_filename, frame.f_code.co_qualname] += 1


def lags(server: Gateway) -> int:
    """The events that subscribers have not handled yet."""
    return sum(one["lag"] for one in server.get("/v1/subscribers").json["data"])


def pause(server: Gateway, action: str) -> None:
    """Pauses or resumes all subscribers."""
    for subscriber in server.get("/v1/subscribers").json["data"]:
        assert server.post(f"/v1/subscribers/{subscriber['name']}/actions/{action}").status == 200


def way(server: Gateway, trace: Trace, hotel: str, day: int, *, until_rest: bool) -> Counter[tuple[str, str]]:
    """Books once, and returns the calls."""
    body = stay_request(day, 2)
    trace.calls = Counter()
    trace.counting = True
    response = server.post(f"{hotel}/bookings", body, {"Idempotency-Key": f"way-{day}"})
    if until_rest:
        threading.Event().wait(1)  # without a request of ours in between, which would be counted
    trace.counting = False
    assert response.status == 201, response
    return trace.calls


def main() -> None:
    """Prints the three numbers of both ways; with --list each function and its calls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="list the functions in the order of their first call")
    listed = parser.parse_args().list
    trace = Trace()
    trace.install()
    with tempfile.TemporaryDirectory() as folder, gateway(Path(folder)) as server:
        hotel = server.open_hotel({"DBL": 50})
        for day in range(1, 1 + _WARM_UP_BOOKINGS):
            server.book(hotel, day)
        wait_until(lambda: lags(server) == 0, _REST_SECONDS_MAX)
        pause(server, "pause")
        until_response = way(server, trace, hotel, 40, until_rest=False)
        pause(server, "resume")
        wait_until(lambda: lags(server) == 0, _REST_SECONDS_MAX)
        until_rest = way(server, trace, hotel, 50, until_rest=True)
        assert lags(server) == 0
    for name, calls in (("until the response", until_response), ("until rest", until_rest)):
        files = len({file for file, _ in calls})
        print(f"{name}: {files} files, {len(calls)} functions, {sum(calls.values())} calls")
        for (file, function), count in calls.items() if listed else ():
            print(f"  {count:5} {Path(file).relative_to(ROOT)} {function}")


if __name__ == "__main__":
    main()
