"""Payments in the simulation: a provider that answers, refuses and reports at any time, and the saga of paid holds.

At the end a hold that was paid is confirmed, or the money has gone back, as far as the provider agreed.
"""

from asyncio import CancelledError
from collections.abc import Iterator, Sequence
from typing import Any

from innkeeper.actors.reservations.hold_payments import HOLD_PAYMENT_EVENT_TYPES, HoldPayments
from innkeeper.actors.subscriptions.recent_events import RecentEvents
from innkeeper.actors.subscriptions.subscriber import Subscriber
from innkeeper.protocol.billing.commands import SettlePayment, StartPayment
from innkeeper.protocol.billing.events import FolioOpened, PaymentOperationRequested, PaymentStarted
from innkeeper.protocol.billing.payment import HoldPaymentStatus, Payment, PaymentAction, hold_payment_status
from innkeeper.protocol.billing.queries import ShowPayment
from innkeeper.protocol.billing.replies import PaymentReply
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope, Result
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.ports.subscriptions import Stalled, SubscriptionRequest
from innkeeper.protocol.reservations.booking import BookingStatus
from innkeeper.protocol.values.contexts import BILLING, RESERVATIONS
from innkeeper.protocol.values.money import Money, render
from innkeeper.storage.memory.service_store import MemoryServiceStore
from simulation.client_record import Request
from simulation.faulty_journal import Crash, DurableLog
from simulation.simulated_services import SimulatedBilling
from simulation.simulated_subscriber import FaultyDelivery

_DONE = {PaymentAction.CAPTURE: "captured", PaymentAction.VOID: "voided", PaymentAction.REFUND: "refunded"}
_FAILED = (HoldPaymentStatus.WAITING, HoldPaymentStatus.PAYING_BACK)


class ReservationsBus:
    """The message bus of reservations for the saga: its commands are carried out between the steps of the saga, which
    is stalled until then."""

    ready = True
    waiting = 0

    def __init__(self) -> None:
        self.wanted: dict[str, Request] = {}
        self.answers: dict[str, Result] = {}

    async def ask(self, envelope: Envelope) -> Result:
        """See `protocol.ports.message_bus.MessageBus`."""
        assert envelope.key is not None
        if envelope.key in self.answers:
            return self.answers.pop(envelope.key)
        self.wanted[envelope.key] = Request(envelope.key, envelope.message, envelope.key)
        return Result(Unavailable("the command is on its way"))

    def answer(self, requests: Sequence[Request], answers: Sequence[Result]) -> None:
        """Keep the answers to these requests."""
        for request, answer in zip(requests, answers, strict=True):
            if request.key in self.wanted and not isinstance(answer.response, Unavailable):
                del self.wanted[request.key]
                self.answers[request.key] = answer


class SimulatedPayments(SimulatedBilling):
    """Billing with payments by a provider, and the saga that follows them."""

    def _open(self) -> None:
        self.bus = ReservationsBus()
        self._own = FaultyDelivery(RecentEvents(DurableLog(self.disk)), self._random, self._faults.rate)
        super()._open()
        request = SubscriptionRequest("hold-payments", HOLD_PAYMENT_EVENT_TYPES)
        cursor = MemoryServiceStore(self._database).open_cursor(request, BILLING, self._own.log)
        saga: Any = HoldPayments({BILLING: self, RESERVATIONS: self.bus})  # type: ignore[dict-item]  # they only ask
        self._saga = Subscriber([cursor], saga.handle, self._clock, batch_events=1)

    def _published(self, position: int, records: Sequence[RecordedEvent]) -> None:
        super()._published(position, records)
        self._own.deliver(position, records)

    def work(self) -> None:
        """Handle some events, and let the provider answer and report."""
        super().work()
        for _ in range(self._random.randrange(3)):
            self._attempt(self._step_of_saga if self._random.random() < 0.5 else self._ask_provider)

    def _attempt(self, step: Any) -> None:
        try:
            step()
        except Stalled:
            return
        except (Crash, CancelledError):  # the latter where billing crashes while it is asked
            self.restart()

    def _step_of_saga(self) -> bool:
        return bool(self._loop.run_until_complete(self._saga.step()))

    def _ask_provider(self) -> None:
        """Pay for a booking, or report something about a payment."""
        payments = self._payments()
        if self._bills and (not payments or self._random.random() < 0.4):
            held = self._held() if self._random.random() < 0.7 else []
            hotel, booking = self._random.choice(held[-3:] or self._bills[-8:])
            amount = Money(f"{self._random.randint(1, 300)}.00", "EUR")
            capture = self._random.random() < 0.5
            start = StartPayment(
                hotel, booking, provider="simulated", amount=amount, capture=capture, allow_overpayment=True
            )
            self._host.handle([Envelope(start)])
        elif payments:
            hotel, payment = self._random.choice(payments[-8:])
            self._host.handle([Envelope(self._report(hotel, self._shown(hotel, payment).payment))])

    def _held(self) -> list[tuple[str, str]]:
        """The bookings that began as holds."""
        opened = ((one.hotel, one.event) for one in self.disk.records() if isinstance(one.event, FolioOpened))
        return [
            (hotel, event.booking)
            for hotel, event in opened
            if event.stay is not None and event.stay.status is BookingStatus.HELD
        ]

    def _payments(self) -> list[tuple[str, str]]:
        return [(one.hotel, one.event.payment) for one in self.disk.records() if isinstance(one.event, PaymentStarted)]

    def _shown(self, hotel: str, payment: str) -> PaymentReply:
        (result,) = self._host.handle([Envelope(ShowPayment(hotel, payment))])
        if isinstance(result.response, Unavailable):
            raise Stalled(result.response.reason)
        assert isinstance(result.response, PaymentReply)
        return result.response

    def _report(self, hotel: str, payment: Payment, agrees: bool = False) -> Command:
        if payment.pending and (agrees or self._random.random() < 0.7):
            operation = payment.pending[0]
            done = agrees or self._random.random() < 0.8
            amount = Money(render(operation.amount, "EUR"), "EUR")
            return SettlePayment(
                hotel, payment.id, outcome=_DONE[operation.action] if done else "refused",  # type: ignore[arg-type]
                operation=operation.number, amount=amount if done else None, id=f"re-{operation.number}",
            )  # fmt: skip
        if payment.refunds and self._random.random() < 0.5:
            refund = self._random.choice(payment.refunds)
            operation_failed = refund.operation if self._random.random() < 0.5 else None
            return SettlePayment(
                hotel, payment.id, outcome="refund_failed", operation=operation_failed, id=refund.id
            )  # fmt: skip
        outcome: Any = self._random.choice(["authorised", "captured", "captured", "failed"])
        return SettlePayment(hotel, payment.id, outcome=outcome)

    def settle_payments(self) -> bool:
        """Without faults, let the provider agree to all that it was asked, and the saga handle all events; whether
        there was anything to do, or reservations are asked something."""
        self._faults.rate = 0.0
        worked = False
        for hotel, payment in self._payments():
            while self._shown(hotel, payment).payment.pending:
                self._host.handle([Envelope(self._report(hotel, self._shown(hotel, payment).payment, agrees=True))])
                worked = True
        for step in (lambda: self._loop.run_until_complete(self._subscriber.step()), self._step_of_saga):
            try:
                while step():
                    worked = True
            except Stalled:
                worked = True
        return worked or bool(self.bus.wanted)

    def settle(self) -> Iterator[str]:
        """The violations of billing, and those of the saga."""
        yield from super().settle()
        for hotel, payment in self._payments():
            shown = self._shown(hotel, payment)
            status = hold_payment_status(shown.payment, shown.booking_status)
            money = shown.payment.captured or shown.payment.reserved
            if money and status in _FAILED:
                yield f"payment {payment} of {hotel} is {status}: the hold is neither confirmed nor paid back"
        asked = [one for one in self.disk.records() if isinstance(one.event, PaymentOperationRequested)]
        refunds: dict[str, int] = {}
        for one in asked:
            event: Any = one.event
            refunds[event.payment] = refunds.get(event.payment, 0) + (event.operation.reason == "the hold has ended")
        for payment, number in refunds.items():
            if number > 1:
                yield f"payment {payment} was given back {number} times"
