"""Signatures of webhooks, verified as a receiver does, with the reference library of Standard Webhooks."""

import base64
import time

import pytest
from innkeeper.delivery.webhooks.signing import check_secret, fresh_secret, signature_headers
from innkeeper.protocol.messages.refusals import FieldError, InvalidRequest, Refused
from standardwebhooks import Webhook, WebhookVerificationError

BODY = '{"specversion":"1.0","data":{"guest":"Ana Sousa, Évora"}}'.encode()
MESSAGE = "01a2089e-623e-7e51-807d-23e452ec2280"


def secret_of(size: int, byte: bytes = b"k") -> str:
    """A secret of this many equal bytes."""
    return "whsec_" + base64.b64encode(byte * size).decode()


def sign(*secrets: str, message: str = MESSAGE, body: bytes = BODY, at: int | None = None) -> dict[str, str]:
    """The headers of a message that is sent now."""
    return signature_headers(secrets, message, int(time.time()) if at is None else at, body)


def is_accepted(secret: str, headers: dict[str, str], body: bytes = BODY) -> bool:
    """Does a receiver with this secret accept the message?"""
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except WebhookVerificationError:
        return False
    return True


def test_a_signed_message_is_accepted() -> None:
    secret = fresh_secret()
    assert is_accepted(secret, sign(secret))


def test_the_signature_equals_the_example_of_the_specification() -> None:
    headers = signature_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_changed_body_is_rejected() -> None:
    secret = fresh_secret()
    assert not is_accepted(secret, sign(secret), BODY.replace(b"Ana", b"Eva"))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", "another-message"),
        ("webhook-timestamp", str(int(time.time()) + 60)),
        ("webhook-signature", "v1," + base64.b64encode(bytes(32)).decode()),
    ],
    ids=["id", "timestamp", "signature"],  # the same in every process that collects the tests
)
def test_a_changed_header_is_rejected(header: str, value: str) -> None:
    secret = fresh_secret()
    assert not is_accepted(secret, sign(secret) | {header: value})


def test_a_message_from_an_hour_ago_is_rejected() -> None:
    secret = fresh_secret()
    assert not is_accepted(secret, sign(secret, at=int(time.time()) - 3_600))


def test_a_signature_with_another_secret_is_rejected() -> None:
    assert not is_accepted(fresh_secret(), sign(fresh_secret()))


def test_while_a_secret_is_replaced_the_old_and_the_new_verify_the_message() -> None:
    new, old, other = fresh_secret(), fresh_secret(), fresh_secret()
    headers = sign(new, old)
    assert is_accepted(new, headers)
    assert is_accepted(old, headers)
    assert not is_accepted(other, headers)


def test_the_newest_secret_signs_first() -> None:
    new, old = fresh_secret(), fresh_secret()
    first, second = sign(new, old, at=1)["webhook-signature"].split(" ")
    assert first == sign(new, at=1)["webhook-signature"]
    assert second == sign(old, at=1)["webhook-signature"]


def test_each_attempt_has_the_same_id_and_its_own_signature() -> None:
    secret = fresh_secret()
    first, second = sign(secret, at=1_000), sign(secret, at=2_000)
    assert first["webhook-id"] == second["webhook-id"] == MESSAGE
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("message", ["", "a.1", "a b", "a\r\nx: y", "ä"])
def test_an_id_with_ambiguous_characters_is_not_signed(message: str) -> None:
    with pytest.raises(ValueError, match="id of letters"):
        sign(fresh_secret(), message=message)


def test_signing_without_a_secret_is_an_error() -> None:
    with pytest.raises(ValueError, match="a secret or more"):
        sign()


def test_a_fresh_secret_is_valid_and_unique() -> None:
    secrets = {fresh_secret() for _ in range(100)}
    assert len(secrets) == 100
    for secret in secrets:
        check_secret(secret)


def test_a_fresh_secret_comes_from_the_given_random_source() -> None:
    assert fresh_secret(lambda size: b"\x07" * size) == secret_of(32, b"\x07")


@pytest.mark.parametrize("size", [24, 25, 32, 64])
def test_a_secret_of_24_to_64_bytes_is_valid(size: int) -> None:
    check_secret(secret_of(size))
    assert is_accepted(secret_of(size), sign(secret_of(size)))


@pytest.mark.parametrize(
    ("secret", "rule"),
    [
        ("", "prefix"),
        (secret_of(32).removeprefix("whsec_"), "prefix"),
        (secret_of(32).replace("whsec_", "whsk_"), "prefix"),
        (secret_of(32).upper(), "prefix"),
        (" " + secret_of(32), "prefix"),
        (secret_of(32) + "\n", "base64"),
        (secret_of(32).rstrip("="), "base64"),
        ("whsec_" + base64.urlsafe_b64encode(b"\xff" * 30).decode(), "base64"),
        ("whsec_not base64 at all, with spaces in it", "base64"),
        ("whsec_" + "é" * 40, "base64"),
        ("whsec_", "length"),
        (secret_of(23), "length"),
        (secret_of(65), "length"),
    ],
)
def test_a_malformed_secret_is_refused_with_the_rule_that_it_breaks(secret: str, rule: str) -> None:
    with pytest.raises(Refused) as caught:
        check_secret(secret)
    refusal = caught.value.refusal
    assert isinstance(refusal, InvalidRequest)
    (error,) = refusal.errors
    assert isinstance(error, FieldError)
    assert (error.field, error.rule) == ("secret", rule)
    assert len(secret) < 20 or secret[10:] not in str(caught.value)
