"""The routes of webhooks, as tests use them: each reply conforms to the OpenAPI document."""

from typing import Any

from support.gateway import Gateway, HttpResponse
from support.openapi_schemas import check_response

RESERVATIONS = [f"innkeeper.{kind}.*" for kind in ("hotel", "room_type", "room", "booking", "business_date")]


def add_webhook(gateway: Gateway, url: str, **more: Any) -> dict[str, Any]:
    """A new webhook, for all events of reservations unless `more` says otherwise."""
    reply = gateway.post("/v1/webhooks", {"url": url, "events": RESERVATIONS} | more)
    assert reply.status == 201, reply
    check_response("add_webhook", reply)
    assert reply.headers["location"] == f"/v1/webhooks/{reply.json['id']}"
    return reply.json


def act(gateway: Gateway, webhook: dict[str, Any], action: str, **fields: Any) -> HttpResponse:
    """An action on a webhook; a successful reply conforms to the OpenAPI document."""
    reply = gateway.post(f"/v1/webhooks/{webhook['id']}/actions/{action}", fields)
    names = {
        "rotate-secret": "rotate_secret", "ping": "ping_webhook", "resend": "resend_event", "replay": "replay_events",
        "enable": "enable_webhook", "disable": "disable_webhook",
    }  # fmt: skip
    if reply.status == 200:
        check_response(names[action], reply)
    return reply


def show_webhook(gateway: Gateway, webhook: dict[str, Any]) -> dict[str, Any]:
    """The webhook as it is now."""
    reply = gateway.get(f"/v1/webhooks/{webhook['id']}")
    check_response("show_webhook", reply)
    return reply.json


def deliveries(gateway: Gateway, webhook: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """The delivery attempts, newest first."""
    reply = gateway.get(f"/v1/webhooks/{webhook['id']}/deliveries", limit=200, **query)
    check_response("list_deliveries", reply)
    return reply.json["data"]


def events(gateway: Gateway, **query: Any) -> list[dict[str, Any]]:
    """The event log."""
    return gateway.get("/v1/events", limit=200, **query).json["data"]
