"""A gateway with all that requests of every unsafe route need."""

from itertools import count
from typing import Any

from support.gateway import Gateway, booking_path, stay_request
from support.waiting import wait_until
from support.webhook_receiver import WebhookReceiver

SECONDS_MAX = 60
MONEY = {"amount": "5.00", "currency": "EUR"}


class World:
    """A gateway with hotels, bookings, payments, a webhook and dead letters, from which requests are made."""

    def __init__(self, gateway: Gateway, receiver: WebhookReceiver) -> None:
        self.gateway = gateway
        self.receiver = receiver
        self.hotel = gateway.open_hotel({"DBL": 60, "SGL": 1})
        self._nights = count(1)
        self.numbers = count(1)

    def booking(self) -> str:
        """The path of a new booking."""
        return booking_path(self.hotel, self.gateway.book(self.hotel, next(self._nights)))

    def charge(self) -> tuple[str, int]:
        """The path of the folio of a new booking, and the number of its charge."""
        folio = f"{self.booking()}/folio"
        body = {"charge": "minibar", "text": "Water", "amount": MONEY}
        reply = self.gateway.post(f"{folio}/charges", body)
        return folio, reply.json["folios"][0]["lines"][-1]["id"]

    def payment(self, capture: bool) -> str:
        """The path of a new payment, captured or authorised."""
        body = {"method": "simulated", "amount": MONEY, "capture": capture}
        path = self.gateway.post(f"{self.booking()}/folio/payments", body).headers["location"]
        settled = "captured" if capture else "authorised"
        wait_until(lambda: self.gateway.get(path).json["status"] == settled, SECONDS_MAX)
        return path

    def guest(self) -> str:
        """The path of a guest whose stay is over."""
        booking = self.gateway.book(self.hotel, next(self._nights))
        assert self.gateway.act(self.hotel, booking, "cancel").status == 200
        return f"{self.hotel}/guests/{booking['guest']['id']}"

    def waiting(self) -> str:
        """The path of a new entry of the waitlist."""
        return self.gateway.post(f"{self.hotel}/waitlist", self.sold_out()).json["id"]

    def sold_out(self) -> dict[str, Any]:
        """The body of a stay that is sold out."""
        arrival = next(self._nights)
        self.gateway.book(self.hotel, arrival, room_type="SGL")
        return stay_request(arrival, room_type="SGL")

    def webhook(self) -> str:
        """The path of a new webhook."""
        body = {"url": self.receiver.url, "events": ["innkeeper.webhook.*"]}
        return self.gateway.post("/v1/webhooks", body).headers["location"]

    def dead_letter(self) -> str:
        """The path of a new dead letter."""
        hotel = self.gateway.open_hotel()
        assert self.gateway.act(hotel, self.gateway.book(hotel), "cancel").status == 200
        name = hotel.rpartition("/")[2]

        def found() -> list[str]:
            letters = self.gateway.get("/v1/dead-letters").json["data"]
            return [letter["event"] for letter in letters if letter["hotel"] == name]

        wait_until(lambda: bool(found()), SECONDS_MAX)
        return f"/v1/dead-letters/archive/{found()[0]}"

    def last_event(self, ago: int = 1) -> str:
        """The id of one of the last events of the log."""
        return self.gateway.list_all("/v1/events", limit=200)[-ago]["id"]
