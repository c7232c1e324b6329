"""A payment provider that is away, silent, or whose answer is lost: the payments concerned wait, each by itself, and
each is carried out once."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from support.gateway import hotel_request, stay_request
from support.server_process import ServerProcess
from support.waiting import wait_until

SECONDS_MAX = 120
HOTEL = "/v1/hotels/seaside"


class Server:
    """A server with the simulated provider."""

    def __init__(self, data: Path) -> None:
        self.process = ServerProcess(data)
        self._booked = 0

    def ask(self, path: str, body: Any = None) -> Any:
        """Send a request; the answer, None where there is nothing at the path."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.process.url + path, data, {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=SECONDS_MAX) as response:
                return json.loads(response.read())
        except HTTPError as error:
            with error:
                if error.code != 404:
                    raise AssertionError(error.read()) from None
            return None

    def pay(self, token: str) -> str:
        """Make a booking, and pay for it by the provider; the payment's id."""
        self._booked += 1
        folio = f"{HOTEL}/bookings/{self.ask(f'{HOTEL}/bookings', stay_request(self._booked))['id']}/folio"
        wait_until(lambda: self.ask(folio) is not None, SECONDS_MAX)
        amount = {"amount": "10.00", "currency": "EUR"}
        paid = self.ask(f"{folio}/payments", {"method": "simulated", "amount": amount, "token": token})
        return str(paid["id"])

    def waiting(self) -> tuple[int, int]:
        """How many operations providers have not carried out yet, and how many are dead letters."""
        state = next(one for one in self.ask("/v1/subscribers")["data"] if one["name"] == "providers")
        return state["lag"], state["parked"]

    def status(self, payment: str) -> str:
        """The status of a payment."""
        return str(self.ask(f"{HOTEL}/payments/{payment}")["status"])

    def captured(self, payment: str) -> int:
        """How often this payment was captured."""
        events = self.ask("/v1/events?log=billing&limit=200")["data"]
        return [one["data"]["payment"] for one in events if one["type"].startswith("innkeeper.payment.recorded")].count(
            payment
        )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data")
    with closing(server.process):
        server.ask("/v1/hotels", {**hotel_request({"DBL": 20}), "id": "seaside"})
        yield server


@pytest.mark.slow
def test_payments_that_wait_for_a_provider_hold_up_no_others(server: Server) -> None:
    hung, away, lost = server.pay("hang-600"), server.pay("away-8"), server.pay("lost")
    usual = server.pay("tok")
    wait_until(lambda: server.status(usual) == "captured", SECONDS_MAX)
    assert [server.status(one) for one in (hung, away)] == ["pending", "pending"]
    wait_until(lambda: server.status(lost) == "captured", SECONDS_MAX)
    wait_until(lambda: server.status(away) == "captured", SECONDS_MAX)
    wait_until(lambda: server.waiting() == (1, 0), SECONDS_MAX)
    assert server.status(server.pay("decline")) in ("pending", "failed")
    assert [server.captured(one) for one in (hung, away, lost, usual)] == [0, 1, 1, 1]
    server.process.kill()
    server.process.start_again()
    again = server.pay("tok")
    wait_until(lambda: server.status(again) == "captured", SECONDS_MAX)
    assert server.status(hung) == "pending"
    assert [server.captured(one) for one in (away, lost, usual, again)] == [1, 1, 1, 1]
    code, said = server.process.stop()
    assert (code, "Traceback" in said) == (0, False), said
