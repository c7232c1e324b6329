"""Signatures, with which a receiver verifies that a webhook is authentic, unaltered and recent.

Standard Webhooks 1.0 (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md), with symmetric keys:
HMAC-SHA256 over `id.timestamp.body`. While a secret is being replaced, a message carries a signature for each.
"""

import base64
import binascii
import hmac
import re
import secrets as chance
from collections.abc import Callable, Mapping, Sequence

from innkeeper.protocol.messages.refusals import BadSignature, Refused, invalid

_PREFIX = "whsec_"
_SECRET_BYTES_MIN = 24
_SECRET_BYTES_MAX = 64
_SECRET_BYTES_FRESH = 32
_AGE_SECONDS_MAX = 5 * 60
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_:-]+")  # no full stop: it separates the id from the timestamp in the signed text


def fresh_secret(random_bytes: Callable[[int], bytes] = chance.token_bytes) -> str:
    """A new secret for an endpoint; `random_bytes` returns that many unpredictable bytes."""
    return _PREFIX + base64.b64encode(random_bytes(_SECRET_BYTES_FRESH)).decode()


def check_secret(secret: str) -> None:
    """Refuses text that is not a secret: `whsec_`, then 24 to 64 bytes in base64. The refusal does not contain it."""
    _key(secret)


def signature_headers(secrets: Sequence[str], message_id: str, at_seconds: int, body: bytes) -> dict[str, str]:
    """The headers that sign one attempt to deliver a message.

    `secrets` are the valid ones, the newest first. `message_id` is the same for all attempts; `at_seconds` is the time
    of this one, in seconds since 1970 UTC. Raises `ValueError` for an id that cannot be signed safely or where there is
    no secret, `Refused` for a bad secret.
    """
    if not secrets or not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError("a message is signed with a secret or more, under an id of letters, digits, '_', ':' and '-'")
    content = b"%b.%d.%b" % (message_id.encode(), at_seconds, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at_seconds),
        "webhook-signature": " ".join(_signature(_key(secret), content) for secret in secrets),
    }


def check_signature(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, at_seconds: int) -> None:
    """Refuses a message that was not signed with one of these secrets, or whose timestamp differs from `at_seconds` by
    more than five minutes. The names of `headers` are in lower case."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not _TIMESTAMP.fullmatch(timestamp) or abs(int(timestamp) - at_seconds) > _AGE_SECONDS_MAX:
        raise Refused(BadSignature("the timestamp is missing, or more than five minutes from now"))
    content = b"%b.%b.%b" % (message_id.encode(errors="surrogateescape"), timestamp.encode(), body)
    expected = [_signature(_key(secret), content).encode() for secret in secrets]
    given = headers.get("webhook-signature", "").encode(errors="surrogateescape").split(b" ")
    if not any(hmac.compare_digest(one, other) for one in expected for other in given):
        raise Refused(BadSignature("it was not made with a known secret"))


def _signature(key: bytes, content: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode()


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        raise invalid("secret", "prefix", f"expected {_PREFIX} and then base64")
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("secret", "base64", f"expected base64 (RFC 4648, section 4) after {_PREFIX}") from None
    if not _SECRET_BYTES_MIN <= len(key) <= _SECRET_BYTES_MAX:
        raise invalid(
            "secret", "length", f"expected {_SECRET_BYTES_MIN} to {_SECRET_BYTES_MAX} bytes in base64 after {_PREFIX}"
        )
    return key
