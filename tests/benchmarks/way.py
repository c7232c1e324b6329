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
from functools import reduce
from operator import and_
from pathlib import Path
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.gateway import Gateway, gateway, stay_request
from support.paths import ROOT
from support.waiting import wait_until

_FOLDERS = tuple(f"{ROOT / folder}/" for folder in ("protocol", "actors", "storage", "http", "delivery"))
_WARM_UP_BOOKINGS = 20
_BOOKINGS = 5
_REST_SECONDS = 1.6  # the read models follow within one second
_REST_SECONDS_MAX = 30

Calls = Counter[tuple[str, str]]
"""How often each function was called, by its file and its name."""


class Trace:
    """The calls of our functions while `counting`, in every thread that starts after `install`."""

    def __init__(self) -> None:
        self.calls: Calls = Counter()
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


def way(server: Gateway, trace: Trace, hotel: str, day: int, *, until_rest: bool) -> Calls:
    """Books once, and returns the calls."""
    body = stay_request(day, 2)
    server.get(f"{hotel}/bookings")  # the read models, which follow on their own, handle everything before this booking
    trace.calls = Counter()
    trace.counting = True
    response = server.post(f"{hotel}/bookings", body, {"Idempotency-Key": f"way-{day}"})
    if until_rest:
        threading.Event().wait(_REST_SECONDS)  # without a request of ours in between, which would be counted
    trace.counting = False
    assert response.status == 201, response
    return trace.calls


def common_way(server: Gateway, trace: Trace, hotel: str, first_day: int, *, until_rest: bool) -> Calls:
    """Books several times, and returns the calls that every booking makes: chance (a body that arrives after its head,
    a batch that is cut, a timer) only adds calls. A booking that is not handled in time is left out.
    """
    wait_until(lambda: until_rest <= (lags(server) == 0), _REST_SECONDS_MAX)
    ways = []
    for day in range(first_day, first_day + 3 * _BOOKINGS, 3):
        calls = way(server, trace, hotel, day, until_rest=until_rest)
        if not until_rest or lags(server) == 0:
            ways.append(calls)
    assert ways, f"no booking was handled by every subscriber within {_REST_SECONDS} s"
    return reduce(and_, ways)


def measure() -> dict[str, Calls]:
    """The calls of both ways."""
    trace = Trace()
    trace.install()
    with tempfile.TemporaryDirectory() as folder, gateway(Path(folder)) as server:
        hotel = server.open_hotel({"DBL": 50})
        for day in range(1, 1 + _WARM_UP_BOOKINGS):
            server.book(hotel, day)
        wait_until(lambda: lags(server) == 0, _REST_SECONDS_MAX)
        pause(server, "pause")
        until_response = common_way(server, trace, hotel, 40, until_rest=False)
        pause(server, "resume")
        until_rest = common_way(server, trace, hotel, 70, until_rest=True)
    return {"until the response": until_response, "until rest": until_rest}


def counted(calls: Calls) -> tuple[int, int, int]:
    """The numbers of files, functions and calls."""
    return len({file for file, _ in calls}), len(calls), calls.total()


def main() -> None:
    """Prints the three numbers of both ways; with --list each function and its calls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="list the functions in the order of their first call")
    listed = parser.parse_args().list
    for name, calls in measure().items():
        print("{}: {} files, {} functions, {} calls".format(name, *counted(calls)))
        for (file, function), number in calls.items() if listed else ():
            print(f"  {number:5} {Path(file).relative_to(ROOT)} {function}")


if __name__ == "__main__":
    main()
