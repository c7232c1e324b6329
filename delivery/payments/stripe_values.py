"""Stripe's amounts and statuses in ours."""

from typing import Any

from innkeeper.protocol.billing.payment import PaymentOutcome
from innkeeper.protocol.values.money import Money, render

_TWO_DIGITS_AT_STRIPE = frozenset({"ISK", "UGX"})
"""Currencies without minor units that Stripe counts in hundredths (its page on zero-decimal currencies)."""


def stripe_amount(units: int, currency: str) -> int:
    """An amount in minor units as Stripe counts it."""
    return units * 100 if currency.upper() in _TWO_DIGITS_AT_STRIPE else units


def money_of(amount: int, currency: str) -> Money:
    """An amount as Stripe counts it."""
    code = currency.upper()
    return Money(render(amount // 100 if code in _TWO_DIGITS_AT_STRIPE else amount, code), code)


def outcome_of(intent: Any) -> PaymentOutcome | None:
    """What a payment intent says of its payment; None while it is under way."""
    match intent["status"]:
        case "succeeded":
            return "captured"
        case "requires_capture":
            return "authorised"
        case "requires_action":
            return "requires_action"
        case "canceled":
            return "voided"
        case "requires_payment_method":
            return "failed" if intent.get("last_payment_error") else "requires_action"
    return None
