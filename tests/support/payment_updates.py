"""The notifications of a payment provider, signed by a library that shares no code with Innkeeper."""

import json
from datetime import datetime
from typing import Any

from standardwebhooks.webhooks import Webhook as StandardWebhook

UPDATE_PATH = "/v1/payment-providers/simulated/notifications"


def payment_update(secret: str, payment: str, outcome: str, at: datetime, **more: Any) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a notification about the payment at this path."""
    hotel, _, id_ = payment.removeprefix("/v1/hotels/").split("/")
    body = json.dumps({"hotel": hotel, "payment": id_, "outcome": outcome, "reference": "bank-1"} | more)
    signature = StandardWebhook(secret).sign("msg-1", at, body)
    stamp = str(int(at.timestamp()))
    return body.encode(), {"webhook-id": "msg-1", "webhook-timestamp": stamp, "webhook-signature": signature}
