"""The outbox relay sends each letter once, when it is due and in order per address; it retries a letter that fails, and
makes it a dead letter in the end."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import pytest
from innkeeper.actors.notifications import outbox_relay
from innkeeper.protocol.ports.journal import JournalUnavailable
from innkeeper.protocol.ports.outbox import AddressReport, OutboxChanges, SendFailed
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values import limits
from support.mail_outbox import PAUSE_SECONDS, SECOND, MailOutbox, letter


@pytest.fixture
def mail() -> MailOutbox:
    return MailOutbox()


def server_unreachable() -> SendFailed:
    return SendFailed("nobody answers", unreachable=True)


def test_a_stored_notice_is_sent_once(mail: MailOutbox) -> None:
    mail.store_notices(letter("1"), letter("2", "bo@example.com"))
    mail.store_notices(letter("1"))
    mail.send_due()
    mail.send_due()
    assert sorted(mail.delivered) == ["1", "2"]
    mail.store_notices(letter("3"))
    mail.send_due()
    assert mail.delivered[-1] == "3"


def test_a_letter_is_not_sent_again_where_only_its_mark_could_not_be_written(
    mail: MailOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Sequence[str], __: Sequence[AddressReport]) -> None:
        raise JournalUnavailable("notifications.db cannot be written now (disk is full)", "disk is full")

    mail.store_notices(letter("1"), letter("2", "bo@example.com"))
    with monkeypatch.context() as full_disk:
        full_disk.setattr(mail.outbox, "mark_sent", fail)
        for _ in range(3):
            with pytest.raises(JournalUnavailable):
                mail.send_due()
    mail.send_due()
    assert sorted(mail.attempted) == ["1", "2"]
    assert mail.relay.state().lag == 0


def test_a_notice_is_sent_when_it_is_due_and_not_before(mail: MailOutbox) -> None:
    mail.store_notices(letter("1", due_at=5 * SECOND))
    mail.send_due()
    assert (mail.delivered, mail.relay.due_at(), mail.relay.state().lag) == ([], 5 * SECOND, 0)
    mail.now = 5 * SECOND
    assert mail.relay.state().lag == 1
    mail.send_due()
    assert (mail.delivered, mail.relay.due_at()) == (["1"], None)


def test_a_notice_that_is_withdrawn_before_it_is_due_is_never_sent(mail: MailOutbox) -> None:
    mail.store_notices(letter("1", due_at=5 * SECOND))
    mail.store_notices(letter("2"), withdrawn=["1"])
    mail.now = 9 * SECOND
    mail.send_due()
    assert mail.delivered == ["2"]


def test_a_notice_that_is_no_longer_useful_is_not_sent(mail: MailOutbox) -> None:
    mail.store_notices(letter("1", useful_until=SECOND // 2), letter("2", useful_until=2 * SECOND))
    mail.send_due()
    assert mail.delivered == ["2"]
    assert mail.relay.dead_letters() == []


def test_letters_to_one_address_keep_their_order_and_do_not_delay_others(mail: MailOutbox) -> None:
    mail.errors["1"] = [SendFailed("busy")]
    mail.store_notices(letter("1"), letter("2"), letter("3", "bo@example.com"))
    mail.send_due()
    assert mail.delivered == ["3"]
    mail.store_notices(letter("4"))
    mail.send_due()
    assert mail.delivered == ["3"]
    mail.now += PAUSE_SECONDS * SECOND
    mail.send_due()
    assert mail.delivered == ["3", "1", "2", "4"]


def test_a_permanently_refused_letter_is_a_dead_letter_and_the_next_is_sent(mail: MailOutbox) -> None:
    mail.errors["1"] = [SendFailed("550 no such mailbox", permanent=True)]
    mail.store_notices(letter("1"), letter("2"))
    mail.send_due()
    assert mail.delivered == ["2"]
    (dead,) = mail.relay.dead_letters()
    assert (dead.subscriber, dead.hotel, dead.event, dead.type) == ("mail", "seaside", "1", "confirmation")
    assert (dead.reason, dead.attempts, dead.since, dead.retry_at) == ("550 no such mailbox", 1, SECOND, None)
    assert mail.relay.state().parked == 1


def test_a_letter_is_retried_after_growing_pauses_and_then_given_up(mail: MailOutbox) -> None:
    mail.errors["1"] = [SendFailed("450 try later") for _ in range(1_000)]
    mail.store_notices(letter("1"))
    pauses = []
    while not mail.relay.dead_letters():
        mail.send_due()
        due_at = mail.relay.due_at()
        if due_at is not None:
            pauses.append((due_at - mail.now) // SECOND)
            mail.now = due_at
    assert pauses == [PAUSE_SECONDS * attempt for attempt in range(1, len(mail.attempted))]
    assert sum(pauses[:-1]) < limits.letter_failing_seconds_max <= sum(pauses)


@pytest.mark.parametrize(("drop", "expected"), [(False, ["1"]), (True, [])])
def test_a_dead_letter_can_be_redriven_or_dropped_after_a_restart(
    mail: MailOutbox, drop: bool, expected: list[str]
) -> None:
    mail.errors["1"] = [SendFailed("550", permanent=True)]
    mail.store_notices(letter("1", useful_until=2 * SECOND))
    mail.send_due()
    mail.open()
    mail.now = 9 * SECOND
    assert mail.relay.redrive("2", drop) is None
    assert mail.relay.redrive("1", drop) is not None
    assert mail.relay.redrive("1", drop) is None
    mail.send_due()
    assert (mail.delivered, mail.relay.dead_letters()) == (expected, [])


def test_an_unreachable_server_loses_no_letter_and_counts_no_attempt(mail: MailOutbox) -> None:
    mail.errors["1"] = [server_unreachable(), server_unreachable()]
    mail.store_notices(letter("1"), letter("2"))
    for _ in range(2):
        with pytest.raises(Stalled, match="nobody answers"):
            mail.send_due()
    assert mail.delivered == []
    mail.send_due()
    assert mail.delivered == ["1", "2"]


def test_a_letter_that_cannot_be_written_becomes_a_dead_letter(mail: MailOutbox) -> None:
    mail.errors["1"] = [KeyError("guest") for _ in range(1_000)]
    mail.store_notices(letter("1"))
    while not mail.relay.dead_letters():
        mail.send_due()
        mail.now += 3_600 * SECOND
    assert "KeyError" in mail.relay.dead_letters()[0].reason


def test_a_crash_after_sending_and_before_recording_it_sends_the_letter_again(mail: MailOutbox) -> None:
    mail.crashes_after.add("1")
    mail.store_notices(letter("1"), letter("2"))
    with pytest.raises(asyncio.CancelledError):
        mail.send_due()
    mail.open()
    mail.send_due()
    assert mail.delivered == ["1", "1", "2"]


def test_a_pause_survives_a_restart(mail: MailOutbox) -> None:
    mail.relay.pause(True)
    mail.store_notices(letter("1"))
    mail.open()
    mail.send_due()
    state = mail.relay.state()
    assert (mail.delivered, state.paused, state.lag, mail.relay.due_at()) == ([], True, 1, None)
    mail.relay.pause(False)
    mail.send_due()
    assert mail.delivered == ["1"]


def test_a_batch_is_limited_and_marked_at_once(mail: MailOutbox, monkeypatch: pytest.MonkeyPatch) -> None:
    marked, mark_sent = list[int](), mail.outbox.mark_sent

    def count(notices: Sequence[str], _: Sequence[AddressReport] = ()) -> None:
        marked.append(len(notices))
        mark_sent(notices)

    monkeypatch.setattr(mail.outbox, "mark_sent", count)
    mail.store_notices(*(letter(f"{number}", f"guest-{number}@example.com") for number in range(200)))
    mail.send_due()
    assert len(mail.delivered) == 200
    assert marked == mail.batches == [64, 64, 64, 8]


def test_a_batch_is_on_disk_before_the_next_is_sent(mail: MailOutbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_relay, "letters_per_batch_max", 2)
    mail.store_notices(*(letter(str(number), f"guest{number}@example.com") for number in range(5)))
    mail.errors["3"] = [server_unreachable()]
    for _ in range(3):
        with suppress(Stalled):
            asyncio.run(mail.relay.step())
        assert mail.synced == mail.delivered
    assert len(mail.delivered) == 5


def test_letters_of_a_batch_to_one_address_are_marked_at_once(
    mail: MailOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked, mark_sent = list[list[str]](), mail.outbox.mark_sent

    def count(notices: Sequence[str], _: Sequence[AddressReport] = ()) -> None:
        marked.append([*notices])
        mark_sent(notices)

    monkeypatch.setattr(mail.outbox, "mark_sent", count)
    mail.store_notices(letter("1"), letter("2"), letter("3", "bo@example.com"), letter("4"))
    mail.send_due()
    assert mail.delivered == ["1", "3", "2", "4"]
    assert marked == [["1", "3", "2", "4"]]


def test_few_letters_are_sent_in_a_step_under_load(mail: MailOutbox) -> None:
    mail.load.observe()
    mail.store_notices(*(letter(f"{number}", f"guest-{number}@example.com") for number in range(10)))
    mail.send_due()
    assert mail.batches == [4, 4, 2]


def test_a_notice_that_is_withdrawn_while_others_of_its_batch_are_sent_is_not_sent(mail: MailOutbox) -> None:
    mail.after_each = lambda: mail.outbox.store(OutboxChanges(withdrawn=["2"], erased=["forgotten"]))
    mail.store_notices(
        letter("1"), letter("2", "bo@example.com"), letter("3", "cy@example.com"),
        msgspec.structs.replace(letter("4", "di@example.com"), booking="forgotten"), letter("5"),
    )  # fmt: skip
    mail.send_due()
    assert mail.delivered == ["1", "3", "5"]
    assert mail.relay.state().lag == 0


def test_what_was_sent_before_the_server_became_unreachable_is_not_sent_again(mail: MailOutbox) -> None:
    mail.errors["2"] = [server_unreachable()]
    mail.store_notices(*(letter(id_, f"{id_}@example.com") for id_ in "123"))
    with pytest.raises(Stalled, match="nobody answers"):
        mail.send_due()
    mail.open()
    mail.send_due()
    assert mail.delivered == ["1", "2", "3"]


def test_a_refused_letter_of_a_batch_leaves_its_neighbours_alone(mail: MailOutbox) -> None:
    mail.errors = {"2": [SendFailed("550", permanent=True)], "3": [SendFailed("450")], "4": [KeyError("guest")]}
    mail.store_notices(*(letter(id_, f"{id_}@example.com") for id_ in "12345"))
    mail.send_due()
    assert mail.delivered == ["1", "5"]
    assert [dead.event for dead in mail.relay.dead_letters()] == ["2"]
    mail.now += PAUSE_SECONDS * SECOND
    mail.send_due()
    assert mail.delivered == ["1", "5", "3", "4"]


def test_a_running_relay_sends_new_letters_and_those_that_fall_due(mail: MailOutbox) -> None:
    async def check() -> None:
        running = asyncio.create_task(mail.relay.run())
        mail.store_notices(letter("1"), letter("2", due_at=SECOND + SECOND // 20))
        mail.relay.wake()
        await _until(lambda: mail.delivered == ["1"])
        mail.now += SECOND
        await _until(lambda: mail.delivered == ["1", "2"])
        mail.relay.stop()
        await running

    async def bounded() -> None:
        async with asyncio.timeout(20):
            await check()

    asyncio.run(bounded())


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (another task fulfils it)
        await asyncio.sleep(0.005)
