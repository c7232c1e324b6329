"""The contract of payment providers: the simulated one and Stripe give the same answers, and do nothing twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from innkeeper.delivery.payments.simulated import SimulatedProvider
from innkeeper.delivery.payments.stripe_provider import stripe_provider
from innkeeper.delivery.webhooks.signing import fresh_secret, signature_headers
from innkeeper.protocol.billing.payment import RefusalCode
from innkeeper.protocol.billing.payments import OperationInstruction, PaymentInstruction, PaymentUpdate, Provider
from innkeeper.protocol.messages.refusals import BadSignature, InvalidRequest, Refused
from support.localstripe_server import (
    CARD,
    CARD_3DS,
    CARD_DECLINED,
    KEY,
    SECRET,
    LocalStripe,
    localstripe,
    signature_of,
)  # fmt: skip

_numbers = count(1)


def clock() -> int:
    return int(time.time() * 1e6)


class ProviderUnderTest:
    """A provider, the tokens that make it decline or ask the guest, and what it has really moved."""

    def __init__(self) -> None:
        self.good, self.declined, self.asking = "tok", "decline", "action"
        self.simulated = SimulatedProvider("simulated", fresh_secret(), self._ignore, clock)

    async def _ignore(self, _: object) -> None:
        """No notification is expected."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Provider]:
        yield self.simulated

    def signed(self, body: bytes) -> dict[str, str]:
        """The headers of a notification with this body."""
        return signature_headers(self.simulated.secrets, "n-1", clock() // 1_000_000, body)

    def moved(self, wanted: PaymentInstruction) -> int:
        known = self.simulated.known[wanted.payment]
        return known.captured - known.refunded


class StripeUnderTest(ProviderUnderTest):
    """Stripe's API, as localstripe has it."""

    def __init__(self, server: LocalStripe) -> None:
        self.server = server
        self.good, self.declined, self.asking = (server.card(card) for card in (CARD, CARD_DECLINED, CARD_3DS))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Provider]:
        async with stripe_provider(KEY, SECRET, self.server.url, "here", clock) as provider:
            yield provider

    def signed(self, body: bytes) -> dict[str, str]:
        return signature_of(body, clock() // 1_000_000)

    def moved(self, wanted: PaymentInstruction) -> int:
        return self.server.moved(wanted.reference)


@pytest.fixture(scope="module")
def stripe_server() -> Iterator[LocalStripe]:
    with localstripe() as server:
        yield server


@pytest.fixture(params=["simulated", "stripe"])
def under_test(request: pytest.FixtureRequest) -> ProviderUnderTest:
    if request.param == "simulated":
        return ProviderUnderTest()
    return StripeUnderTest(request.getfixturevalue("stripe_server"))


def payment(token: str, capture: bool = True, amount: int = 10_000) -> PaymentInstruction:
    return PaymentInstruction(
        payment=f"p-{next(_numbers)}-{clock()}", hotel="seaside", booking="b-1", amount=amount, currency="EUR",
        capture=capture, token=token, started_at=clock(),
    )  # fmt: skip


def operation(number: int, amount: int) -> OperationInstruction:
    return OperationInstruction(number=number, key=f"key-{next(_numbers)}-{clock()}", amount=amount)


def known(wanted: PaymentInstruction, answer: PaymentUpdate | None) -> PaymentInstruction:
    """The payment as billing knows it after an answer."""
    assert answer is not None
    return PaymentInstruction(**{**_fields(wanted), "reference": answer.reference})


def _fields(wanted: PaymentInstruction) -> dict[str, Any]:
    return {name: getattr(wanted, name) for name in wanted.__struct_fields__}


def run(under_test: ProviderUnderTest, story: Callable[[Provider], Awaitable[None]]) -> None:
    async def opened() -> None:
        async with under_test.open() as provider:
            await story(provider)

    asyncio.run(opened())


def answer_of(update: PaymentUpdate | None) -> tuple[str, int | None, int | None, RefusalCode | None]:
    """The outcome, the amount, the number of the operation, and why it was refused."""
    assert update is not None
    return update.outcome, update.amount and update.amount.minor_units(), update.operation, update.code


def test_a_payment_is_captured_once_however_often_it_is_started(under_test: ProviderUnderTest) -> None:
    async def story(provider: Provider) -> None:
        wanted = payment(under_test.good)
        for _ in range(2):
            answer = await provider.start(wanted)
            assert answer_of(answer) == ("captured", 10_000, None, None)
        assert await asyncio.to_thread(under_test.moved, known(wanted, answer)) == 10_000

    run(under_test, story)


def test_a_declined_payment_fails_with_a_reason(under_test: ProviderUnderTest) -> None:
    async def story(provider: Provider) -> None:
        for _ in range(2):
            answer = await provider.start(payment(under_test.declined))
            assert answer_of(answer) == ("failed", None, None, RefusalCode.DECLINED)
            assert answer is not None
            assert "declined" in answer.reason

    run(under_test, story)


def test_a_payment_that_the_guest_has_to_confirm_says_how(under_test: ProviderUnderTest) -> None:
    async def story(provider: Provider) -> None:
        answer = await provider.start(payment(under_test.asking))
        assert answer is not None
        assert answer.outcome == "requires_action"
        assert answer.next_action is not None
        assert answer.next_action.url or answer.next_action.client_secret

    run(under_test, story)


def test_an_authorisation_is_captured_in_part_once_and_says_when_it_ends(under_test: ProviderUnderTest) -> None:
    async def story(provider: Provider) -> None:
        wanted = payment(under_test.good, capture=False)
        answer = await provider.start(wanted)
        assert answer_of(answer) == ("authorised", None, None, None)
        assert answer is not None
        assert answer.expires_at is not None
        reserved, capture = known(wanted, answer), operation(1, 7_000)
        for _ in range(2):
            assert answer_of(await provider.capture(reserved, capture)) == ("captured", 7_000, 1, None)
        assert await asyncio.to_thread(under_test.moved, reserved) == 7_000

    run(under_test, story)


def test_an_authorisation_is_voided_once_and_cannot_be_captured_then(under_test: ProviderUnderTest) -> None:
    async def story(provider: Provider) -> None:
        wanted = payment(under_test.good, capture=False)
        reserved, void = known(wanted, await provider.start(wanted)), operation(1, 10_000)
        for _ in range(2):
            assert answer_of(await provider.void(reserved, void)) == ("voided", None, 1, None)
        outcome, _, number, code = answer_of(await provider.capture(reserved, operation(2, 10_000)))
        assert (outcome, number) == ("refused", 2)
        assert code in (RefusalCode.NOT_POSSIBLE, RefusalCode.EXPIRED)
        assert await asyncio.to_thread(under_test.moved, reserved) == 0

    run(under_test, story)


def test_a_captured_payment_cannot_be_voided(under_test: ProviderUnderTest) -> None:
    async def story(provider: Provider) -> None:
        wanted = payment(under_test.good)
        paid = known(wanted, await provider.start(wanted))
        assert answer_of(await provider.void(paid, operation(1, 10_000))) == (
            "refused", None, 1, RefusalCode.NOT_POSSIBLE,
        )  # fmt: skip
        assert await asyncio.to_thread(under_test.moved, paid) == 10_000

    run(under_test, story)


def test_refunds_are_made_once_each_and_have_ids(under_test: ProviderUnderTest) -> None:
    async def story(provider: Provider) -> None:
        wanted = payment(under_test.good)
        paid = known(wanted, await provider.start(wanted))
        ids = set()
        for refund in (operation(1, 4_000), operation(2, 1_000)):
            for _ in range(2):
                answer = await provider.refund(paid, refund)
                assert answer_of(answer) == ("refunded", refund.amount, refund.number, None)
                assert answer is not None
                ids.add(answer.id)
        assert len(ids) == 2
        assert await asyncio.to_thread(under_test.moved, paid) == 5_000

    run(under_test, story)


@pytest.mark.parametrize("action", ["capture", "refund"])
def test_a_payment_that_the_provider_does_not_know_is_refused(under_test: ProviderUnderTest, action: str) -> None:
    async def story(provider: Provider) -> None:
        wanted = payment(under_test.good)
        if isinstance(under_test, StripeUnderTest):
            wanted = PaymentInstruction(**{**_fields(wanted), "reference": "pi_unknown"})
        answer = await getattr(provider, action)(wanted, operation(1, 1_000))
        assert answer_of(answer) == ("refused", None, 1, RefusalCode.UNKNOWN_PAYMENT)

    run(under_test, story)


def test_a_payment_that_was_never_started_is_voided(under_test: ProviderUnderTest) -> None:
    async def story(provider: Provider) -> None:
        answer = await provider.void(payment(under_test.good), operation(1, 10_000))
        assert answer_of(answer) == ("voided", None, 1, None)

    run(under_test, story)


def test_a_notification_without_a_signature_is_refused(under_test: ProviderUnderTest) -> None:
    async def story(provider: Provider) -> None:
        for headers in ({}, {"stripe-signature": "t=1,v1=00", "webhook-signature": "v1,AA"}):
            with pytest.raises(Refused) as refused:
                await provider.read(headers, b"{}")
            assert isinstance(refused.value.refusal, BadSignature)

    run(under_test, story)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"no JSON"], ids=["lists", "objects", "text"])
def test_a_signed_notification_that_cannot_be_read_is_refused(under_test: ProviderUnderTest, body: bytes) -> None:
    async def story(provider: Provider) -> None:
        with pytest.raises(Refused) as refused:
            await provider.read(under_test.signed(body), body)
        assert isinstance(refused.value.refusal, InvalidRequest)

    run(under_test, story)
