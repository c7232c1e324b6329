"""The hotels of the benchmarks, the same for every contestant, and the requests that open them."""

import json
from datetime import date, timedelta
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

TODAY = date(2026, 6, 1)
FIRST_ARRIVAL = TODAY + timedelta(days=1)
ROOM_TYPES = ("SGL", "DBL", "FAM")
ROOMS_PER_TYPE = 100
NIGHTS = 1_000  # the number of arrival dates in the load
ANSWER_SECONDS_MAX = 60


VAT = {"code": "VAT", "name": "VAT 6 %", "applies_to": ["room"], "rate": "6", "included": True}


def hotel_request(hotel: str, rooms: dict[str, int] | None = None, taxed: bool = False) -> dict[str, Any]:
    """The body that opens a hotel; without `rooms` it has 300, of three types, for three guests at 120.00 EUR. It has
    one tax where it is `taxed`."""
    room_counts = rooms or dict.fromkeys(ROOM_TYPES, ROOMS_PER_TYPE)
    return {
        "id": hotel,
        "name": f"Hotel {hotel}",
        "timezone": "Europe/Lisbon",
        "currency": "EUR",
        "business_date": str(TODAY),
        "clock": "simulated",
        "taxes": [VAT] if taxed else [],
        "room_types": [
            {
                "code": code,
                "name": f"Type {code}",
                "max_guests": 3,
                "rate": {"amount": "120.00", "currency": "EUR"},
                "room_count": count,
            }
            for code, count in room_counts.items()
        ],
    }


def stay(guest: str, arrival: int, nights: int, room_type: str = "DBL") -> dict[str, Any]:
    """The body that books a stay which begins this many nights after the first arrival date."""
    start = FIRST_ARRIVAL + timedelta(days=arrival)
    return {
        "room_type": room_type,
        "arrival": str(start),
        "departure": str(start + timedelta(days=nights)),
        "adults": 2,
        "guest": {"name": guest, "email": f"{guest.replace(' ', '.')}@example.com", "phone": "+351 289 000 000"},
        "source": "direct",
    }


def post_all(url: str, requests: list[tuple[str, dict[str, Any]]]) -> None:
    """Send these (path, body) one after the other, and expect each to create something."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_SECONDS_MAX)
    try:
        for path, body in requests:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read()
            if response.status != 201:
                raise RuntimeError(f"POST {path}: {response.status} {text.decode(errors='replace')}")
    finally:
        connection.close()


def open_hotels(url: str, count: int) -> None:
    """Open hotel-1, hotel-2, …"""
    post_all(url, [("/v1/hotels", hotel_request(f"hotel-{number}")) for number in range(1, count + 1)])
