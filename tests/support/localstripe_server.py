"""Runs localstripe on the loopback, as the server of one test, with what Stripe has beside it: idempotency keys, lists
of payment intents by when they were made, the newest first, and charges that an intent only names unless asked for.

As a program it serves on the port of its argument until its standard input ends.
"""

import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

KEY = "sk_test_innkeeper"
SECRET = "whsec_of_this_test"
CARD, CARD_DECLINED, CARD_3DS = "4242424242424242", "4000000000000341", "4000002500003155"


class LocalStripe:
    """A running localstripe."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **fields: Any) -> Any:
        """GET a path, or POST fields to it."""
        request = Request(f"{self.url}{path}", headers={"Authorization": f"Bearer {KEY}"})
        with urlopen(request, urlencode(fields).encode() if fields else None) as reply:
            return json.load(reply)

    def forget_keys(self) -> None:
        """Forget the idempotency keys, as Stripe does after a day."""
        self.ask("/forget-keys", all="true")

    def intents(self, payment: str) -> list[Any]:
        """The payment intents that were made for a payment."""
        made = self.ask("/v1/payment_intents?limit=1000")["data"]
        return [one for one in made if one["metadata"].get("innkeeper_payment") == payment]

    def card(self, number: str = CARD) -> str:
        """A payment method with this card number."""
        card = {"card[number]": number, "card[exp_month]": 12, "card[exp_year]": 2050, "card[cvc]": "123"}
        return str(self.ask("/v1/payment_methods", type="card", **card)["id"])

    def charge(self, reference: str) -> Any:
        """The latest charge of a payment intent; None where there is none."""
        return self.ask(f"/v1/payment_intents/{reference}?expand[]=latest_charge")["latest_charge"]

    def moved(self, reference: str) -> int:
        """What was captured of a payment intent, less what was refunded: localstripe refunds what is not captured."""
        charge = self.charge(reference)
        if not charge or not charge["captured"]:
            return 0
        return int(charge["amount"] - sum(one["amount"] for one in charge["refunds"]["data"]))


def signed(event: dict[str, Any], at: int, secret: str = SECRET) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a notification, signed as Stripe signs it."""
    body = json.dumps({"object": "event", "created": at} | event).encode()
    return body, signature_of(body, at, secret)


def signature_of(body: bytes, at: int, secret: str = SECRET) -> dict[str, str]:
    """The headers of a notification with this body, signed as Stripe signs it."""
    signature = hmac.new(secret.encode(), b"%d.%s" % (at, body), hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={at},v1={signature}"}


@contextmanager
def localstripe() -> Iterator[LocalStripe]:
    """Runs localstripe for a test."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield LocalStripe(process.stdout.readline().strip())
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


async def _serve() -> None:
    from aiohttp import web
    from localstripe import resources, server

    resources.store.dump_to_disk = lambda: None
    kept: dict[str, tuple[int, str]] = {}

    @web.middleware
    async def once(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path == "/forget-keys":
            kept.clear()
            return web.json_response({})
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method != "POST":
            return await handler(request)  # type: ignore[no-any-return]
        if key not in kept:
            reply = await handler(request)
            kept[key] = reply.status, reply.text
        return web.Response(status=kept[key][0], text=kept[key][1], content_type="application/json")

    def list_intents(cls: Any, url: str, created: Any = None, **page: Any) -> Any:
        since = int((created or {}).get("gte", 0))
        listed = of_any_time(cls, url, **page)
        listed._list = [one for one in reversed(listed._list) if one.created >= since]
        return listed

    def show_intent(intent: Any, expand: list[str] | None = None) -> Any:
        shown = with_charge(intent, expand)
        if shown["latest_charge"] and "latest_charge" not in (expand or []):
            shown["latest_charge"] = shown["latest_charge"]["id"]
        return shown

    with_charge = resources.PaymentIntent._export
    resources.PaymentIntent._export = show_intent
    of_any_time = resources.PaymentIntent._api_list_all.__func__
    resources.PaymentIntent._api_list_all = classmethod(list_intents)
    server.app.middlewares.insert(0, once)
    runner = web.AppRunner(server.app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    sys.path.pop(0) if Path(sys.path[0]) == Path(__file__).parent else None
    asyncio.run(_serve())
