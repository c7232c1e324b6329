"""The notifications of a payment provider, signed by a library that shares no code with Innkeeper."""

import json
from datetime import datetime
from typing import Any

from standardwebhooks.webhooks import Webhook as StandardWebhook
from support.gateway import Gateway
from support.waiting import wait_until

UPDATE_PATH = "/v1/payment-providers/simulated/notifications"


def payment_update(secret: str, payment: str, outcome: str, at: datetime, **more: Any) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a notification about the payment at this path."""
    hotel, _, id_ = payment.removeprefix("/v1/hotels/").split("/")
    body = json.dumps({"hotel": hotel, "payment": id_, "outcome": outcome, "reference": "bank-1"} | more)
    signature = StandardWebhook(secret).sign("msg-1", at, body)
    stamp = str(int(at.timestamp()))
    return body.encode(), {"webhook-id": "msg-1", "webhook-timestamp": stamp, "webhook-signature": signature}


def wait_for_provider(gateway: Gateway, path: str) -> None:
    """Wait until the provider has answered all operations of the payment at this path; at another one, for nothing."""
    payment, _, action = path.partition("/actions/")
    if action and "/payments/" in payment:
        wait_until(lambda: all(one["status"] != "pending" for one in gateway.get(payment).json["operations"]), 60)
