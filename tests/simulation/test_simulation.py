"""Many simulated seeds have no violations, and faults built into the program are reported.

`make simulate SEEDS=1-2000` simulates more of them, and `make simulate SEEDS=7` one of them again.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from innkeeper.actors.notifications import event_handler
from innkeeper.actors.notifications.rules.notices import handle as rules_handle
from innkeeper.actors.partition.host import Host
from innkeeper.actors.partition.messages import PendingBatch
from innkeeper.actors.reservations.hold_payments import HOLD_PAYMENT_RULES, HoldPayments
from innkeeper.actors.reservations.messages import Claim, ClaimDone
from innkeeper.actors.reservations.room import RoomActor
from innkeeper.actors.reservations.rules import allocation, changes, night_audit, queries, waitlist
from innkeeper.actors.reservations.rules.calendar import Calendar
from innkeeper.actors.reservations.rules.closures import CLOSURE_RULES
from innkeeper.actors.reservations.rules.house import HOUSE_RULES
from innkeeper.actors.reservations.rules.housekeeping import HOUSEKEEPING_RULES
from innkeeper.actors.reservations.rules.state import describe
from innkeeper.protocol.billing.events import PaymentAuthorised, PaymentRecorded
from innkeeper.protocol.notifications.notices import NoticeKind
from innkeeper.protocol.ports.subscriptions import no_effects
from innkeeper.protocol.reservations import events
from innkeeper.protocol.reservations.commands import BookingCommand
from innkeeper.protocol.reservations.replies import HotelStateReply
from innkeeper.protocol.reservations.transitions import TRANSITIONS
from innkeeper.storage.memory.outbox import MemoryOutbox
from innkeeper.storage.memory.service_store import MemoryDeliveryStore, MemoryServiceStore
from innkeeper.storage.stored_cursor import StoredCursor
from msgspec.structs import replace
from simulation import clients, event_model, house_clients
from simulation.run import run_seed, seeds_of
from simulation.simulated_partition import HOUR, SimulatedPartition, SimulationResult
from support.paths import ROOT

SEEDS = (*range(1, 201), 395, 640, 1_834)  # the last three have found faults
STEPS = 100


@pytest.fixture(scope="module")
def results() -> list[SimulationResult]:
    """The result of every seed."""
    return [run_seed(seed, STEPS) for seed in SEEDS]


@pytest.mark.slow
def test_no_seed_has_violations(results: list[SimulationResult]) -> None:
    violations = {result.seed: result.violations[:3] for result in results if result.violations}
    assert not violations, (
        f"simulate them again with: make simulate SEEDS={','.join(map(str, violations))}\n{violations}"
    )


def test_the_clients_make_every_action_and_the_model_knows_every_status() -> None:
    assert clients.ACTIONS.keys() == {*BookingCommand.__subclasses__()}
    of_house = {*HOUSE_RULES, *CLOSURE_RULES, *HOUSEKEEPING_RULES}
    assert of_house <= {*house_clients.MESSAGES}
    changes = {kind: status.value for (before, kind), status in TRANSITIONS.items() if before is not status}
    assert changes == event_model.STATUS


@pytest.mark.slow
def test_the_seeds_include_many_crashes_faults_and_refusals(results: list[SimulationResult]) -> None:
    """A simulation without faults proves nothing."""
    assert sum(result.crashes for result in results) > len(results)
    assert sum(result.actor_faults for result in results) > len(results) / 2
    assert sum(result.refusals for result in results) > 20 * len(results)
    assert sum(result.events for result in results) > 50 * len(results)


@pytest.mark.slow
def test_a_seed_gives_the_same_run_in_every_process(results: list[SimulationResult]) -> None:
    program = f"from simulation.run import run_seed; print([run_seed(seed, {STEPS}).digest for seed in (3, 4)])"
    digests = str([result.digest for result in results[2:4]])
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT / "tests")},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        assert done.stdout.strip() == digests


def test_ranges_of_seeds_are_parsed() -> None:
    assert seeds_of("7") == [7]
    assert seeds_of("3,5,20-22") == [3, 5, 20, 21, 22]


def is_reported(property_id: str, **changes: Any) -> bool:
    """Whether a violation of one of a few seeds of the changed program contains this text."""
    return any(property_id in violation for violation in _violations(changes))


def _violations(changes: dict[str, Any]) -> Iterator[str]:
    for seed in range(1, 41):
        try:
            yield from SimulatedPartition(seed, STEPS, **changes).run().violations
        except Exception as error:
            yield f"{type(error).__name__}: {error}"


def accept_every_claim(self: RoomActor, message: Claim, hotel: Any) -> None:
    """Accept a claim even if the room is taken."""
    self.send(hotel, ClaimDone())


def test_a_room_booked_twice_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Calendar, "free_for", lambda self, arrival, departure: self.all_rooms)
    monkeypatch.setitem(RoomActor.handles, Claim, accept_every_claim)
    assert is_reported("(P1)")


def test_the_room_refuses_a_second_claim_of_a_faulty_hotel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The room is the last authority: the fault of the hotel is reported, and no room is booked twice."""
    monkeypatch.setattr(Calendar, "free_for", lambda self, arrival, departure: self.all_rooms)
    violations = list(_violations({}))
    assert any("a room refused a claim of its hotel" in violation for violation in violations)
    assert not any("(P1)" in violation for violation in violations)


def test_an_acknowledgement_before_the_sync_is_reported() -> None:
    assert is_reported("(P3)", acknowledges_early=True)


def test_a_needless_refusal_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for step_of_search in ("_one_step", "_sweep", "_search"):
        monkeypatch.setattr(allocation, step_of_search, lambda *_: None)
    assert is_reported("(P4)")


def test_a_date_that_is_closed_before_it_is_over_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    over_at = night_audit.over_at
    monkeypatch.setattr(night_audit, "over_at", lambda hotel, day: over_at(hotel, day) - 6 * HOUR)
    assert is_reported("(P12)")


def test_dates_that_are_closed_in_one_leap_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(night_audit, "_DAY", timedelta(days=2))
    assert is_reported("(P12)")


def test_a_state_that_differs_from_the_fold_of_its_events_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def describe_without_one_booking(state: Any) -> HotelStateReply:
        described = describe(state)
        return replace(described, bookings=described.bookings[1:])

    monkeypatch.setattr(queries, "describe", describe_without_one_booking)
    assert is_reported("(P6)")


def test_a_contact_change_that_leaves_other_stays_out_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for rules in (changes, waitlist):
        monkeypatch.setattr(rules, "at_other_stays", lambda *_: ())
    assert is_reported("has the contact data")


class StoresNoReplies(Host):
    """Stores no reply for a key."""

    def decide(self, envelopes: Any) -> PendingBatch:
        decided = super().decide(envelopes)
        decided.replies = []
        return decided


def test_a_reply_that_was_not_stored_is_reported() -> None:
    assert is_reported("(P7)", host=StoresNoReplies)


class PublishesTooEarly(Host):
    """Publishes events before they are on the disk."""

    def write(self, group: Any) -> bool:
        for decided in group:
            if decided.records:
                self.on_commit(self.journal.position() + len(decided.records), decided.records)
        return super().write(group)


def test_an_event_published_before_the_sync_is_reported() -> None:
    assert is_reported("(P5)", host=PublishesTooEarly)


def open_with(store: type[MemoryServiceStore], change: Callable[[StoredCursor], None]) -> Callable[..., StoredCursor]:
    """`open_cursor` of this store, whose cursors are changed."""
    open_cursor = store.open_cursor

    def open_changed(*arguments: Any) -> StoredCursor:
        change(cursor := open_cursor(*arguments))
        return cursor

    return open_changed


def move_before_effects(cursor: Any) -> None:
    """Move the cursor before the effects are written, in another transaction."""
    move = cursor.move

    def moves_first(batch: Any, effects: Any) -> None:
        move(batch, no_effects)
        with cursor._rows.transaction():
            effects()

    cursor.move = moves_first


def skip_parked_hotels(cursor: Any) -> None:
    """Handle events of a hotel with a parked event."""
    cursor._is_requested = lambda _: True


@pytest.mark.parametrize("change", [move_before_effects, skip_parked_hotels])
def test_a_cursor_that_loses_or_reorders_events_is_reported(change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that of the subscriber: see `SimulatedSubscriber`."""
    monkeypatch.setattr(MemoryDeliveryStore, "open_cursor", open_with(MemoryDeliveryStore, change))
    assert is_reported("the subscriber handled")


def test_the_seeds_include_room_moves_for_other_bookings() -> None:
    partition = SimulatedPartition(1, STEPS)
    moves = 0
    for seed in range(1, 30):
        partition = SimulatedPartition(seed, STEPS)
        partition.run()
        moves += sum(isinstance(record.event, events.RoomMoved) for _, record in partition.journal().read())
    assert moves > 20


def test_services_that_move_their_cursor_before_their_effects_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    open_cursor = MemoryServiceStore.open_cursor
    monkeypatch.setattr(MemoryDeliveryStore, "open_cursor", open_cursor)  # the subscriber's is not changed
    monkeypatch.setattr(MemoryServiceStore, "open_cursor", open_with(MemoryServiceStore, move_before_effects))
    assert is_reported("(P5)")


def test_a_ledger_that_applies_events_twice_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innkeeper.actors.billing.rules.state.cause_seq", lambda record: 0)
    assert is_reported("twice or out of order (P5)")


def test_a_lost_letter_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryOutbox, "mark_failed", lambda self, notice, *_: self.mark_sent([notice]))
    assert is_reported("was never sent (P5)")


def test_a_letter_sent_twice_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    marked: set[str] = set()
    mark_sent = MemoryOutbox.mark_sent

    def mark_sent_at_the_second_call(outbox: MemoryOutbox, notices: Sequence[str], *reports: Any) -> None:
        mark_sent(outbox, [notice for notice in notices if notice in marked], *reports)
        marked.update(notices)

    monkeypatch.setattr(MemoryOutbox, "mark_sent", mark_sent_at_the_second_call)
    assert is_reported("was sent twice without a reason (P5)")


def test_a_change_that_is_never_told_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(*arguments: Any) -> Any:
        decision = rules_handle(*arguments)
        told = tuple(notice for notice in decision.notices if notice.kind is not NoticeKind.CHANGE)
        return decision._replace(notices=told)

    monkeypatch.setattr(event_handler, "handle", handle)
    assert is_reported("was told another stay")


def test_a_reminder_that_was_not_withdrawn_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_handler, "handle", lambda *arguments: rules_handle(*arguments)._replace(withdrawn=()))
    assert is_reported("but was withdrawn (P5)")


def test_a_letter_that_keeps_a_forgotten_guest_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_handler, "forgotten", lambda booking: booking)
    assert is_reported("notifications has")


@pytest.mark.parametrize("step", ["paid", "_not_confirmed"])
def test_a_saga_that_forgets_a_step_is_reported(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def forgets(*_: Any) -> None:
        """It confirms no hold, or gives no money back."""

    if step == "paid":
        monkeypatch.setitem(HOLD_PAYMENT_RULES, PaymentRecorded, forgets)
        monkeypatch.setitem(HOLD_PAYMENT_RULES, PaymentAuthorised, forgets)
    else:
        monkeypatch.setattr(HoldPayments, step, forgets)
    assert is_reported("the hold is neither confirmed nor paid back")
