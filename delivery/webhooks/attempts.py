"""What is sent to an endpoint in an attempt to deliver an event, and what is recorded of the attempt."""

from collections.abc import Sequence

from innkeeper.delivery.webhooks.client import PostOutcome
from innkeeper.protocol.codec import wire
from innkeeper.protocol.codec.cloud_event import cloud_event_json
from innkeeper.protocol.codec.public_events import public_entry
from innkeeper.protocol.delivery.webhooks import DeliveryAttempt, SigningSecret, Webhook
from innkeeper.protocol.messages.recorded_event import LogEntry


def valid_secrets(secrets: Sequence[SigningSecret], at: int) -> tuple[SigningSecret, ...]:
    """Returns the secrets that sign at this instant."""
    return tuple(one for one in secrets if one.until is None or one.until > at)


def body_of(webhook: Webhook, entry: LogEntry) -> bytes:
    """Returns the event as the webhook gets it."""
    return cloud_event_json(entry if webhook.guest_details else public_entry(entry))


def type_of(entry: LogEntry) -> str:
    """Returns the public type of the event."""
    return wire.event_type(entry[1].event)


def attempt_to_deliver(
    webhook: Webhook, event: str, type_name: str, attempt: int, outcome: PostOutcome, at: int, given_up: bool = False
) -> DeliveryAttempt:
    """Returns what is recorded of an attempt that ended at the instant `at`."""
    return DeliveryAttempt(
        webhook=webhook.id, event=event, type=type_name, at=at, attempt=attempt, status=outcome.status,
        error=outcome.error, milliseconds=round(outcome.seconds * 1_000), excerpt=outcome.excerpt, given_up=given_up,
    )  # fmt: skip
