"""Uses every part of an installation, and describes all that it holds afterwards, so that two can be compared."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.gateway import hotel_request, send, stay_request
from support.waiting import wait_until

SECONDS_MAX = 60
HOTEL = "/v1/hotels/seaside"
_BOOKINGS = 8


def get(url: str, path: str) -> Any:
    """The answer to a GET."""
    answer = send(urlsplit(url).port or 0, "GET", path)
    assert answer.status == 200, (path, answer)
    return answer.json


def post(url: str, path: str, body: Any, key: str | None = None) -> Any:
    """The answer to a POST that creates something."""
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = send(urlsplit(url).port or 0, "POST", path, body, headers)
    assert answer.status == 201, (path, answer)
    return answer.json


def open_seaside(url: str, rooms: int = 3) -> date:
    """Open a hotel; its business date."""
    opened = post(url, "/v1/hotels", {**hotel_request({"DBL": rooms}), "id": "seaside", "business_date": None})
    return date.fromisoformat(opened["business_date"])


def use(url: str) -> None:
    """Open a hotel, book with letters, post charges, and add a webhook; wait until every subscriber is at rest."""
    day = open_seaside(url)
    for number in range(_BOOKINGS):
        start = day + timedelta(days=20 + number)
        dates = {"arrival": str(start), "departure": str(start + timedelta(days=2))}
        guest = {"name": f"Guest {number}", "email": f"guest{number}@example.com"}
        booked = post(url, f"{HOTEL}/bookings", {**stay_request(), **dates, "guest": guest})
        folio = f"{HOTEL}/bookings/{booked['id']}/folio"
        wait_for_folio(url, booked["id"])
        charge = {"charge": "minibar", "text": "Water", "amount": {"amount": "3.00", "currency": "EUR"}}
        post(url, f"{folio}/charges", charge, f"charge-{number}")
    post(url, "/v1/webhooks", {"url": "http://127.0.0.1:9/", "events": ["innkeeper.hotel.*"]}, "a-webhook")
    wait_until(lambda: has_caught_up(url), SECONDS_MAX)


def wait_for_folio(url: str, booking: str) -> None:
    """Wait until billing has handled a booking."""
    port = urlsplit(url).port or 0
    wait_until(lambda: send(port, "GET", f"{HOTEL}/bookings/{booking}/folio").status == 200, SECONDS_MAX)


def has_caught_up(url: str) -> bool:
    """Whether all subscribers, except webhooks, have handled all events and sent all letters."""
    found = {one["name"]: one for one in get(url, "/v1/subscribers")["data"] if not one["name"].startswith("webhook")}
    return found.keys() >= {"billing", "notifications", "mail", "archive"} and not any(
        one["lag"] for one in found.values()
    )


def what_it_holds(url: str) -> dict[str, Any]:
    """All hotels, bookings, folios, webhooks and dead letters."""
    hotels = get(url, "/v1/hotels")
    held = {"hotels": hotels, "webhooks": get(url, "/v1/webhooks"), "dead letters": get(url, "/v1/dead-letters")}
    for hotel in hotels["data"]:
        path = f"/v1/hotels/{hotel['id']}"
        held[path] = get(url, f"{path}/bookings?limit=200")
        held[f"{path}/ledger"] = get(url, f"{path}/ledger")
        for booking in held[path]["data"]:
            held[booking["id"]] = get(url, f"{path}/bookings/{booking['id']}/folio")
    return held


def letters(data: Path) -> set[str]:
    """The names of all letters."""
    return {letter.name for letter in (data / "mail").glob("*.eml")}
