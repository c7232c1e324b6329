"""A guest in a hotel with taxes, whose folio is invoiced over HTTP."""

from typing import Any

from support.gateway import Gateway, HttpResponse, booking_path

VAT = {"code": "VAT", "name": "IVA 6 %", "applies_to": ["room", "fee"], "rate": "6", "included": True}
FOOD = {"code": "VAT13", "name": "IVA 13 %", "applies_to": ["breakfast"], "rate": "13", "included": True}
CITY = {"code": "CITY", "name": "City tax", "applies_to": ["room"], "amount": {"amount": "2.00", "currency": "EUR"}}
GLOBEX = {"name": "Globex", "address": ["1 Main Street"], "city": "Berlin", "country": "DE", "vat_id": "DE123456789"}


class Stay:
    """A guest in house for two nights at 100.00, in a hotel with these taxes."""

    def __init__(self, gateway: Gateway, *taxes: dict[str, Any], nights: int = 2, seller: bool = True) -> None:
        self.gateway = gateway
        self.hotel = gateway.open_hotel(taxes=[*taxes])
        if seller:
            gateway.set_billing(self.hotel)
        self.booking = gateway.book(self.hotel, 0, nights)
        self.path = booking_path(self.hotel, self.booking)

    def act(self, action: str, **fields: Any) -> None:
        """Request an action on the booking, and expect success."""
        reply = self.gateway.act(self.hotel, self.booking, action, **fields)
        assert reply.status == 200, reply

    def sleep(self) -> None:
        """Check in, and close the nights of the stay."""
        self.act("check-in")
        self.gateway.post(f"{self.hotel}/night-audit", {"to": self.booking["departure"]})

    def post(self, path: str, **body: Any) -> HttpResponse:
        """POST below the path of the booking."""
        return self.gateway.post(f"{self.path}/{path}", body)

    def charge(self, amount: str, text: str = "Breakfast", charge: str = "breakfast", **more: Any) -> int:
        """Post a charge; its line."""
        body = {"charge": charge, "text": text, "amount": euros(amount)} | more
        reply = self.post("folio/charges", **body)
        assert reply.status == 201, reply
        line: int = reply.json["folios"][0]["lines"][-1]["id"]
        return line

    def pay(self, amount: str) -> None:
        """Record a cash payment."""
        assert self.post("folio/payments", method="cash", amount=euros(amount)).status == 201

    def invoice(self, **body: Any) -> Any:
        """Issue an invoice; it."""
        return issued(self.post("invoices", **body))

    def correct(self, number: str, action: str, **body: Any) -> HttpResponse:
        """Credit or reissue an invoice."""
        return self.gateway.post(f"{self.hotel}/invoices/{number}/actions/{action}", {"reason": "wrong"} | body)

    def balance(self) -> str:
        """What is owed for the booking."""
        amount: str = self.gateway.get(f"{self.path}/folio").json["balance"]["amount"]
        return amount


def euros(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def issued(reply: HttpResponse) -> Any:
    """The document that was issued."""
    assert reply.status == 201, reply
    return reply.json
