"""A payment provider for demos and tests, which the token of a payment tells what to do."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from innkeeper.delivery.webhooks.signing import check_signature, signature_headers
from innkeeper.protocol.billing.payment import NextAction, PaymentAction, PaymentOutcome, RefusalCode
from innkeeper.protocol.billing.payments import (
    OperationInstruction,
    PaymentInstruction,
    PaymentUpdate,
    ReceiveProviderNotification,
)
from innkeeper.protocol.messages.refusals import Refused, Unavailable, invalid
from innkeeper.protocol.ports.payment_operations import ProviderUnreachable
from innkeeper.protocol.values.instants import instant
from innkeeper.protocol.values.money import Money, render

ReceiveNotification = Callable[[ReceiveProviderNotification], Awaitable[object]]
"""Receives a notification from a provider."""

logger = logging.getLogger(__name__)

_LATE_SECONDS_MAX = 3_600
_NOTIFY_AGAIN_SECONDS = 1
_AUTHORISED_MICROSECONDS = 7 * 24 * 3_600 * 1_000_000
_ANSWERS_KEPT_MAX = 10_000

_update = msgspec.json.Decoder(PaymentUpdate)


@dataclass(slots=True)
class _Known:
    """What the provider knows of a payment."""

    reserved: int = 0
    captured: int = 0
    refunded: int = 0


class SimulatedProvider:
    """The token selects the outcome of the payment: `decline` fails, `late` leaves it pending, `late-3` settles it with
    a notification after 3 seconds, `action` waits for the guest; `refuse-capture`, `refuse-void` and `refuse-refund`
    refuse that operation later, with `expire` the authorisation has expired by then, with `bounce-3` a refund is
    reported as failed 3 seconds after it was made. To each request of one with `away-3` it refuses to answer for 3
    seconds, with `hang-3` it is silent for so long; with `lost` the first answer is lost. Any other succeeds at once.
    It carries out each request once, however often it is asked. Its state is not stored: after a restart it trusts what
    a request says of a payment that it once had."""

    def __init__(self, name: str, secret: str, notify: ReceiveNotification, clock: Callable[[], int]) -> None:
        self.secrets: tuple[str, ...] = (secret,)
        self.known: dict[str, _Known] = {}
        self._name = name
        self._notify = notify
        self._clock = clock
        self._late: dict[str, asyncio.Task[None]] = {}
        self._bouncing: set[asyncio.Task[None]] = set()
        self._asked_at: dict[str, int] = {}
        self._answers: dict[str, PaymentUpdate | None] = {}

    async def start(self, wanted: PaymentInstruction) -> PaymentUpdate | None:
        """See `protocol.billing.payments.Provider`."""
        return await self._once(wanted, wanted.payment, lambda: self._start(wanted))

    def _start(self, wanted: PaymentInstruction) -> PaymentUpdate | None:
        known = self.known[wanted.payment] = _Known()
        name, _, seconds = wanted.token.partition("-")
        if name == "decline":
            return self._answer(wanted, "failed", code=RefusalCode.DECLINED, reason="the bank declined")
        if name == "action":
            asked = NextAction(f"https://bank.example/{wanted.payment}")
            return msgspec.structs.replace(self._answer(wanted, "requires_action"), next_action=asked)
        if name == "late":
            if seconds.isdigit():
                later = self._notify_later(
                    wanted, min(int(seconds), _LATE_SECONDS_MAX), lambda: self._succeed(wanted, known)
                )
                task = asyncio.create_task(later)
                self._late[wanted.payment] = task
                task.add_done_callback(lambda _: self._late.pop(wanted.payment, None))
            return None
        return self._succeed(wanted, known)

    def _succeed(self, wanted: PaymentInstruction, known: _Known) -> PaymentUpdate:
        if wanted.capture:
            known.captured = wanted.amount
            return self._answer(wanted, "captured", amount=wanted.amount)
        known.reserved = wanted.amount
        expires_at = instant(self._clock() + _AUTHORISED_MICROSECONDS)
        return msgspec.structs.replace(self._answer(wanted, "authorised"), expires_at=expires_at)

    async def capture(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate | None:
        """See `protocol.billing.payments.Provider`."""
        return await self._once(wanted, operation.key, lambda: self._capture(wanted, operation))

    def _capture(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate:
        known = self._find(wanted, PaymentAction.CAPTURE)
        if known is None or (refusal := self._told_to_refuse(wanted, PaymentAction.CAPTURE)):
            return self._refuse(wanted, operation, RefusalCode.UNKNOWN_PAYMENT if known is None else refusal)
        if operation.amount > known.reserved:
            return self._refuse(wanted, operation, RefusalCode.NOT_POSSIBLE)
        known.captured, known.reserved = operation.amount, 0
        return self._answer(wanted, "captured", operation, operation.amount)

    async def void(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate | None:
        """See `protocol.billing.payments.Provider`."""
        return await self._once(wanted, operation.key, lambda: self._void(wanted, operation))

    def _void(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate:
        known = self._find(wanted, PaymentAction.VOID)
        refusal = self._told_to_refuse(wanted, PaymentAction.VOID)
        if refusal is not None:
            return self._refuse(wanted, operation, refusal)
        if known is not None:
            if known.captured:
                return self._refuse(wanted, operation, RefusalCode.NOT_POSSIBLE)
            known.reserved = 0
        if wanted.payment in self._late:
            self._late[wanted.payment].cancel()
        return self._answer(wanted, "voided", operation)

    async def refund(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate | None:
        """See `protocol.billing.payments.Provider`."""
        return await self._once(wanted, operation.key, lambda: self._refund(wanted, operation))

    def _refund(self, wanted: PaymentInstruction, operation: OperationInstruction) -> PaymentUpdate:
        known = self._find(wanted, PaymentAction.REFUND)
        if known is None or (refusal := self._told_to_refuse(wanted, PaymentAction.REFUND)):
            return self._refuse(wanted, operation, RefusalCode.UNKNOWN_PAYMENT if known is None else refusal)
        if operation.amount > known.captured - known.refunded:
            return self._refuse(wanted, operation, RefusalCode.NOT_POSSIBLE)
        known.refunded += operation.amount
        news = self._answer(wanted, "refunded", operation, operation.amount)
        news = msgspec.structs.replace(news, id=f"sim-{wanted.payment}-{operation.number}")
        name, _, seconds = wanted.token.partition("-")
        if name == "bounce" and seconds.isdigit():
            self._bounce(wanted, news, min(int(seconds), _LATE_SECONDS_MAX))
        return news

    def _bounce(self, wanted: PaymentInstruction, news: PaymentUpdate, seconds: int) -> None:
        def fail() -> PaymentUpdate:
            known = self.known.get(wanted.payment)
            if known is not None and news.amount is not None:
                known.refunded -= news.amount.minor_units()
            return msgspec.structs.replace(
                news, outcome="refund_failed", code=RefusalCode.DECLINED, reason="the account is closed"
            )

        task = asyncio.create_task(self._notify_later(wanted, seconds, fail))
        self._bouncing.add(task)
        task.add_done_callback(self._bouncing.discard)

    async def read(self, headers: Mapping[str, str], body: bytes) -> Sequence[PaymentUpdate]:
        """See `protocol.billing.payments.Provider`. Its notifications are signed as Standard Webhooks demands."""
        check_signature(self.secrets, headers, body, self._clock() // 1_000_000)
        try:
            return (_update.decode(body),)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise invalid("body", "form", f"expected the notification of a payment: {error}") from None

    async def _once(
        self, wanted: PaymentInstruction, key: str, carry_out: Callable[[], PaymentUpdate | None]
    ) -> PaymentUpdate | None:
        """The answer to this request, which is carried out if it was not before."""
        name, _, seconds = wanted.token.partition("-")
        is_first, asked_at = key not in self._asked_at, self._asked_at.setdefault(key, self._clock())
        has_ended = self._clock() - asked_at >= (int(seconds) if seconds.isdigit() else 0) * 1_000_000
        if name == "away" and not has_ended:
            raise ProviderUnreachable("the provider does not answer")
        if name == "hang" and not has_ended:
            await asyncio.Event().wait()
        if key not in self._answers:
            self._answers[key] = carry_out()
            for kept in (self._answers, self._asked_at, self.known):
                if len(kept) > _ANSWERS_KEPT_MAX:
                    del kept[next(iter(kept))]
        if name == "lost" and is_first:
            raise ProviderUnreachable("the answer was lost")
        return self._answers[key]

    def _find(self, wanted: PaymentInstruction, action: PaymentAction) -> _Known | None:
        """What is known of a payment; one whose reference was given was known before a restart."""
        if wanted.payment not in self.known and wanted.reference:
            is_refund = action is PaymentAction.REFUND
            self.known[wanted.payment] = _Known(0, wanted.amount) if is_refund else _Known(wanted.amount)
        return self.known.get(wanted.payment)

    def _told_to_refuse(self, wanted: PaymentInstruction, action: PaymentAction) -> RefusalCode | None:
        if wanted.token == "expire" and action is PaymentAction.CAPTURE:
            return RefusalCode.EXPIRED
        return RefusalCode.DECLINED if wanted.token == f"refuse-{action.value}" else None

    def _refuse(
        self, wanted: PaymentInstruction, operation: OperationInstruction, code: RefusalCode | None
    ) -> PaymentUpdate:
        assert code is not None
        return self._answer(wanted, "refused", operation, code=code, reason=_REASONS[code])

    def _answer(
        self,
        wanted: PaymentInstruction,
        outcome: PaymentOutcome,
        operation: OperationInstruction | None = None,
        amount: int | None = None,
        code: RefusalCode | None = None,
        reason: str = "",
    ) -> PaymentUpdate:
        return PaymentUpdate(
            hotel=wanted.hotel, payment=wanted.payment, outcome=outcome, code=code, reason=reason,
            amount=None if amount is None else Money(render(amount, wanted.currency), wanted.currency),
            reference=f"sim-{wanted.payment}", operation=None if operation is None else operation.number,
            at=instant(self._clock()),
        )  # fmt: skip

    async def _notify_later(
        self, wanted: PaymentInstruction, seconds: int, happen: Callable[[], PaymentUpdate]
    ) -> None:
        await asyncio.sleep(seconds)
        body = msgspec.json.encode(happen())
        while True:
            headers = signature_headers(self.secrets, wanted.payment, self._clock() // 1_000_000, body)
            try:
                await self._notify(ReceiveProviderNotification(self._name, headers, body))
            except Refused as refused:
                if isinstance(refused.refusal, Unavailable):
                    await asyncio.sleep(_NOTIFY_AGAIN_SECONDS)
                    continue
                logger.warning("a notification of %s was refused: %s", wanted.payment, refused)
            return


_REASONS = {
    RefusalCode.DECLINED: "the bank declined",
    RefusalCode.EXPIRED: "the authorisation has expired",
    RefusalCode.UNKNOWN_PAYMENT: "the provider does not know the payment",
    RefusalCode.NOT_POSSIBLE: "the payment does not allow it any more",
}
