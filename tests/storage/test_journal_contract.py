"""What every journal, and the event log of its readers, does: order, all or nothing, one writer, and reopening."""

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from innkeeper.protocol.ports.journal import Journal, JournalError, JournalFenced, Snapshot, StoredReply
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.ports.subscriptions import EventLog, with_guests
from innkeeper.protocol.reservations.events import GuestChanged, GuestForgotten
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.guests import Guest, bare
from msgspec.structs import replace
from support.journal_records import naming, recorded, stored_guest, write_and_sync

REPLY = StoredReply("key", b"fingerprint", b"reply", 1_000)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """What the test opens is closed after it."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def journal(storage: Storage, opened: ExitStack) -> Journal:
    """An empty journal."""
    journal = storage.journal(RESERVATIONS)
    opened.callback(journal.close)
    return journal


@pytest.fixture
def event_log(journal: Journal, storage: Storage, opened: ExitStack) -> EventLog:
    """The log of its readers."""
    return opened.enter_context(storage.event_log(RESERVATIONS))


def test_events_are_read_in_order_with_their_positions(journal: Journal, event_log: EventLog) -> None:
    assert (journal.position(), event_log.position, event_log.read(0, 9), [*journal.read()]) == (0, 0, [], [])
    noted = replace(recorded(3), by="bob", event=GuestChanged("b", Guest("g", 1, b"hash")))
    assert write_and_sync(journal, recorded(1), recorded(1, "south"), recorded(2)) == 3
    assert write_and_sync(journal, noted) == 4
    entries = [(1, recorded(1)), (2, recorded(1, "south")), (3, recorded(2)), (4, noted)]
    assert [*journal.read()] == event_log.read(0, 9) == entries
    assert [*journal.read(after=2)] == event_log.read(2, 9) == entries[2:]
    assert (journal.position(), event_log.position) == (4, 4)
    assert journal.hotels() == {"north", "south"}


def test_a_log_is_read_by_hotel_and_up_to_a_limit(journal: Journal, event_log: EventLog) -> None:
    for seq in range(1, 6):
        write_and_sync(journal, recorded(seq), recorded(seq, "south"))
    assert [record for _, record in journal.read(hotel="south", after_hotel_seq=3)] == [
        recorded(4, "south"), recorded(5, "south"),
    ]  # fmt: skip
    assert event_log.read(0, 2, "north", 1) == [(3, recorded(2)), (5, recorded(3))]
    assert event_log.read(5, 9, "north", 1) == [(7, recorded(4)), (9, recorded(5))]
    assert event_log.read(3, 2) == [(4, recorded(2, "south")), (5, recorded(3))]
    assert event_log.read(0, 9, "west") == event_log.read(10, 9) == event_log.read(0, 0) == []
    assert [*journal.read(hotel="west")] == []


def test_the_hash_at_a_position_says_which_events_come_before(storage: Storage, opened: ExitStack) -> None:
    found = {}
    north, south = [recorded(1), recorded(2), recorded(3)], [recorded(1, "south"), recorded(2, "south")]
    for name, records in {"short": north[:2], "long": north, "other": south}.items():
        with closing(storage.journal(name)) as journal:
            write_and_sync(journal, *records)
            log = opened.enter_context(storage.event_log(name))
            found[name] = [log.hash_at(position) for position in range(4)]
    assert found["short"] == [*found["long"][:3], b""]
    assert found["other"][0] == found["long"][0]
    assert not set(found["other"][1:3]) & set(found["long"])
    assert len({*found["long"]}) == 4


def test_a_commit_is_visible_only_after_the_sync(journal: Journal, event_log: EventLog) -> None:
    write_and_sync(journal, recorded(1))
    assert journal.write([recorded(2), recorded(3)], [REPLY]) == 3
    assert (journal.position(), journal.replies(["key"]), event_log.position) == (1, {}, 1)
    assert event_log.read(0, 9) == [(1, recorded(1))]
    journal.sync()
    assert (journal.position(), journal.replies(["key"]), event_log.position) == (3, {"key": REPLY}, 3)


def test_details_of_guests_stand_beside_the_events(journal: Journal, event_log: EventLog) -> None:
    one, two = stored_guest(1), stored_guest(2, notes="late")
    journal.write([naming(1, one.guest), naming(2, two.guest)], (), [one, two])
    assert (journal.guests([one.guest.key]) if event_log.position else {}, journal.newest_guests(["g-1"])) == ({}, {})
    journal.sync()
    bare_entries = [(1, naming(1, bare(one.guest))), (2, naming(2, bare(two.guest)))]
    assert [*journal.read()] == event_log.read(0, 9) == bare_entries
    assert with_guests(event_log.read(0, 9), event_log) == [(1, naming(1, one.guest)), (2, naming(2, two.guest))]
    assert journal.guests([two.guest.key]) == event_log.guests([two.guest.key]) == {("g-1", 2): two.guest.details}
    assert journal.newest_guests(["g-1", "nobody"]) == {"g-1": two}
    assert journal.guests_with_details(["g-1", "nobody"]) == {"g-1"}
    with pytest.raises(JournalError):
        write_and_sync(journal, guests=(one,))


def test_a_forgotten_guest_is_erased_in_the_transaction_of_the_event(journal: Journal, event_log: EventLog) -> None:
    one, two, other = stored_guest(1), stored_guest(2), stored_guest(1, "g-2")
    write_and_sync(journal, naming(1, one.guest), guests=(one, two, other))
    journal.write([replace(recorded(2), event=GuestForgotten("g-1"))], ())
    assert event_log.guests([one.guest.key]) == {one.guest.key: one.guest.details}
    journal.sync()
    journal.finish_erasing()
    assert not journal.is_erasing
    assert journal.guests([one.guest.key, two.guest.key, other.guest.key]) == {other.guest.key: other.guest.details}
    assert journal.newest_guests(["g-1"])["g-1"].guest == bare(two.guest)
    assert journal.guests_with_details(["g-1"]) == set()
    assert with_guests(event_log.read(0, 1), event_log) == [(1, naming(1, bare(one.guest)))]
    while journal.check_guests(1):
        pass


def test_what_was_synced_is_there_after_closing(storage: Storage, journal: Journal, opened: ExitStack) -> None:
    write_and_sync(journal, recorded(1), replies=(REPLY,))
    journal.save_snapshots([Snapshot("north", 1, b"state")])
    journal.close()
    again = storage.journal(RESERVATIONS)
    opened.callback(again.close)
    assert [*again.read()] == [(1, recorded(1))]
    assert again.replies(["key"]) == {"key": REPLY}
    assert [*again.snapshots()] == [Snapshot("north", 1, b"state")]
    assert write_and_sync(again, recorded(2)) == 2


def test_what_was_written_and_not_synced_is_dropped_by_reopening(journal: Journal) -> None:
    write_and_sync(journal, recorded(1))
    journal.write([recorded(2)], [REPLY])
    journal.reopen()
    assert (journal.position(), journal.replies(["key"])) == (1, {})
    assert write_and_sync(journal, recorded(2), replies=(REPLY,)) == 2


def test_replies_are_committed_with_and_without_events(journal: Journal) -> None:
    other = StoredReply("other", b"", b"refused")
    write_and_sync(journal, recorded(1), replies=(REPLY,))
    assert write_and_sync(journal, replies=(other,)) == 1
    assert journal.replies(["key", "other", "Key"]) == {"key": REPLY, "other": other}


@pytest.mark.parametrize(
    ("records", "replies"),
    [
        ([recorded(2), recorded(1)], []),
        ([recorded(2), recorded(2)], []),
        ([recorded(2)], [StoredReply("new", b"", b""), StoredReply("key", b"other", b"other")]),
    ],
)
def test_an_event_or_reply_that_is_there_already_is_refused_with_all_of_its_commit(
    journal: Journal, records: list[object], replies: list[StoredReply]
) -> None:
    write_and_sync(journal, recorded(1), replies=(REPLY,))
    with pytest.raises(JournalError):
        write_and_sync(journal, *records, replies=tuple(replies))  # type: ignore[arg-type]
    journal.reopen()
    assert [*journal.read()] == [(1, recorded(1))]
    assert journal.replies(["key", "new"]) == {"key": REPLY}
    assert write_and_sync(journal, recorded(2)) == 2


def test_the_newest_snapshot_of_each_hotel_is_kept(journal: Journal) -> None:
    journal.save_snapshots([Snapshot("north", 1, b"one"), Snapshot("south", 1, b"two")])
    journal.save_snapshots(iter([Snapshot("north", 5, b"three")]))
    assert [*journal.snapshots("north")] == [Snapshot("north", 5, b"three")]
    assert [*journal.snapshots("west")] == []
    assert {snapshot.hotel: snapshot.state for snapshot in journal.snapshots()} == {"north": b"three", "south": b"two"}


def test_the_snapshots_say_until_where_they_have_all_events(
    storage: Storage, journal: Journal, opened: ExitStack
) -> None:
    write_and_sync(journal, recorded(1), recorded(1, "south"), recorded(2))
    assert journal.snapshot_set().until == 0
    journal.save_snapshots([Snapshot("north", 2, b"state")], until=1)
    assert journal.snapshot_set().until == 1
    journal.close()
    again = storage.journal(RESERVATIONS)
    opened.callback(again.close)
    assert (again.snapshot_set().until, [*again.snapshots()]) == (1, [Snapshot("north", 2, b"state")])
    again.save_snapshots([Snapshot("south", 1, b"state")], until=3)
    assert (again.snapshot_set().until, len([*again.snapshots()])) == (3, 2)


def test_what_was_written_is_checked_in_any_steps(journal: Journal) -> None:
    write_and_sync(journal, *(recorded(seq) for seq in range(1, 8)))
    for after, until in ((0, 7), (0, 3), (3, 6), (6, 7), (7, 7)):
        journal.check(after, until)


def test_old_replies_are_removed_step_by_step(storage: Storage, journal: Journal, opened: ExitStack) -> None:
    replies = tuple(StoredReply(f"key-{number}", b"", b"reply", at=100 * number) for number in range(10))
    write_and_sync(journal, replies=replies)
    assert journal.remove_replies(500, "", 4) == "key-3"
    assert journal.remove_replies(500, "key-3", 4) == "key-7"
    assert journal.remove_replies(500, "key-7", 4) is None
    assert {*journal.replies([reply.key for reply in replies])} == {f"key-{number}" for number in range(5, 10)}
    write_and_sync(journal, replies=replies[:1])  # a key that is not valid any more can be used again
    journal.close()
    again = storage.journal(RESERVATIONS)
    opened.callback(again.close)
    assert again.replies(["key-0", "key-4", "key-5"]) == {"key-0": replies[0], "key-5": replies[5]}
    assert again.remove_replies(10_000, "", 99) is None
    assert again.replies(["key-0", "key-5", "key-9"]) == {}


def test_a_superseded_writer_can_write_nothing(storage: Storage, journal: Journal, opened: ExitStack) -> None:
    write_and_sync(journal, recorded(1))
    newer = storage.journal(RESERVATIONS)
    opened.callback(newer.close)
    newer.save_snapshots([Snapshot("north", 1, b"newer")])
    for records, replies in (([recorded(2)], ()), ((), (REPLY,))):
        with pytest.raises(JournalFenced):
            write_and_sync(journal, *records, replies=replies)
    with pytest.raises(JournalFenced):
        journal.save_snapshots([Snapshot("north", 1, b"older")])
    write_and_sync(newer, replies=(REPLY,))
    with pytest.raises(JournalFenced):
        journal.remove_replies(REPLY.at + 1, "", 9)
    assert newer.replies(["key"]) == {"key": REPLY}
    journal.reopen()
    with pytest.raises(JournalFenced):
        write_and_sync(journal, recorded(2))
    assert write_and_sync(newer, recorded(2)) == 2
    assert [*newer.snapshots()] == [Snapshot("north", 1, b"newer")]
    assert [*newer.read()] == [(1, recorded(1)), (2, recorded(2))]


def test_each_log_has_a_journal_of_its_own(storage: Storage, journal: Journal, opened: ExitStack) -> None:
    assert storage.journals() == {RESERVATIONS}
    other = storage.journal("billing")
    opened.callback(other.close)
    write_and_sync(journal, recorded(1))
    write_and_sync(other, recorded(1, "south"))
    assert [*other.read()] == [(1, recorded(1, "south"))]
    assert storage.journals() == {RESERVATIONS, "billing"}
