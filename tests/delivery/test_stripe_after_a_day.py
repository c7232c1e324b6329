"""A payment by Stripe whose answer was lost is asked for again after more than a day, when Stripe has forgotten the
idempotency key: the money is taken once."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from innkeeper.delivery.payments.stripe_provider import StripeProvider, stripe_provider
from innkeeper.protocol.billing.payments import OperationInstruction, PaymentInstruction, PaymentUpdate
from innkeeper.protocol.ports.payment_operations import ProviderUnreachable
from stripe import InvalidRequestError
from support.localstripe_server import CARD, CARD_3DS, CARD_DECLINED, KEY, SECRET, LocalStripe, localstripe

DAY = 24 * 3_600 * 1_000_000


def now() -> int:
    return int(time.time() * 1e6)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalStripe]:
    with localstripe() as running:
        yield running


def payment(name: str, token: str, capture: bool = True) -> PaymentInstruction:
    return PaymentInstruction(
        payment=f"{name}-{now()}", hotel="seaside", booking="b-1", amount=10_000, currency="EUR", capture=capture,
        token=token, started_at=now(),
    )  # fmt: skip


def ask(server: LocalStripe, after: int, question: Callable[[StripeProvider], Awaitable[Any]]) -> Any:
    """Ask Stripe so many microseconds from now."""

    async def asked() -> Any:
        async with stripe_provider(KEY, SECRET, server.url, "here", lambda: now() + after) as provider:
            return await question(provider)

    return asyncio.run(asked())


def start_twice(server: LocalStripe, wanted: PaymentInstruction) -> tuple[PaymentUpdate, PaymentUpdate]:
    """Start a payment, and again two days later; both answers."""
    first = ask(server, 0, lambda provider: provider.start(wanted))
    server.forget_keys()
    return first, ask(server, 2 * DAY, lambda provider: provider.start(wanted))


@pytest.mark.parametrize(
    ("card", "capture", "outcome"),
    [
        (CARD, True, "captured"),
        (CARD, False, "authorised"),
        (CARD_3DS, True, "requires_action"),
        (CARD_DECLINED, True, "failed"),
    ],
)
def test_a_payment_that_is_started_again_after_a_day_is_the_same(
    server: LocalStripe, card: str, capture: bool, outcome: str
) -> None:
    wanted = payment("again", server.card(card), capture)
    first, second = start_twice(server, wanted)
    assert (first.outcome, second.outcome) == (outcome, outcome)
    (made,) = server.intents(wanted.payment)
    assert second.reference == made["id"]


@pytest.mark.parametrize("our_clock", [-DAY, DAY])
def test_money_was_captured_when_stripe_says_it_was(server: LocalStripe, our_clock: int) -> None:
    started = payment("clock", server.card())
    reserved = payment("clock-reserved", server.card(), capture=False)
    answer = ask(server, our_clock, lambda provider: provider.start(started))
    assert answer.at.timestamp() == server.charge(answer.reference)["created"]
    ask(server, our_clock, lambda provider: provider.start(reserved))
    (made,) = server.intents(reserved.payment)
    capture = OperationInstruction(number=1, key=f"capture-{now()}", amount=10_000)
    for _ in range(2):
        answer = ask(server, our_clock, lambda provider: provider.capture(reserved, capture))
        assert (answer.outcome, answer.at.timestamp()) == ("captured", server.charge(made["id"])["created"])


def test_an_intent_that_was_made_but_never_confirmed_is_confirmed_after_a_day(server: LocalStripe) -> None:
    wanted = payment("unconfirmed", server.card())
    ask(server, 0, lambda provider: provider._intent(wanted))
    server.forget_keys()
    answer = ask(server, 2 * DAY, lambda provider: provider.start(wanted))
    (made,) = server.intents(wanted.payment)
    assert (answer.outcome, answer.reference, server.moved(made["id"])) == ("captured", made["id"], 10_000)


def test_a_payment_that_never_reached_stripe_is_made_after_a_day(server: LocalStripe) -> None:
    wanted = payment("late", server.card())
    assert ask(server, 2 * DAY, lambda provider: provider.start(wanted)).outcome == "captured"
    assert len(server.intents(wanted.payment)) == 1


def test_what_is_voided_after_a_day_is_what_was_reserved(server: LocalStripe) -> None:
    wanted = payment("void", server.card(), capture=False)
    ask(server, 0, lambda provider: provider.start(wanted))
    server.forget_keys()
    void = OperationInstruction(number=1, key=f"void-{now()}", amount=10_000)
    assert ask(server, 2 * DAY, lambda provider: provider.void(wanted, void)).outcome == "voided"
    (made,) = server.intents(wanted.payment)
    assert made["status"] == "canceled"


def test_the_intent_is_found_behind_the_newer_ones_of_others(server: LocalStripe) -> None:
    wanted = payment("busy", server.card())
    first = ask(server, 0, lambda provider: provider.start(wanted))
    server.forget_keys()
    for number in range(101):
        owner = {"metadata[innkeeper_installation]": "other", "metadata[innkeeper_payment]": wanted.payment}
        server.ask("/v1/payment_intents", amount=number + 100, currency="eur", **owner)
    assert ask(server, 2 * DAY, lambda provider: provider.start(wanted)).reference == first.reference


def test_nothing_is_made_where_the_intents_cannot_be_listed(
    server: LocalStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not known may have been paid."""
    wanted = payment("blind", server.card())

    async def refuse(*_: object, **__: object) -> None:
        raise InvalidRequestError("not for this key", "created")

    async def start(provider: StripeProvider) -> None:
        monkeypatch.setattr(provider._client.v1.payment_intents, "list_async", refuse)
        with pytest.raises(ProviderUnreachable, match="not for this key"):
            await provider.start(wanted)

    ask(server, 2 * DAY, start)
    assert server.intents(wanted.payment) == []
