"""What the database of every service does with kept replies, whatever the engine."""

import pytest
from innkeeper.protocol.ports.journal import StoredReply
from innkeeper.protocol.ports.service_store import ServiceStore
from innkeeper.protocol.ports.storage import Storage

REPLIES = [StoredReply(f"key-{number}", b"fingerprint", b"reply", at) for number, at in enumerate((30, 10, 20, 40))]


def test_the_oldest_replies_are_removed_first_and_no_newer_ones(storage: Storage) -> None:
    with storage.service_store("billing") as store:
        for reply in REPLIES:
            store.keep_reply(reply)
        left = [[0, 2, 3], [0, 3], [0, 3]]
        for numbers in left:
            store.remove_replies(before=30, limit=1)
            kept = [store.kept_reply(reply.key) for reply in REPLIES]
            assert kept == [reply if number in numbers else None for number, reply in enumerate(REPLIES)]
    with storage.service_store("billing") as again:
        assert again.kept_reply("key-3") == REPLIES[3]
        assert again.kept_reply("key-1") is None


def test_a_transaction_within_another_is_stored_with_it(storage: Storage) -> None:
    with storage.service_store("billing") as store:
        with store.transaction():
            store.keep_reply(REPLIES[0])
            with store.transaction():
                store.keep_reply(REPLIES[1])
            store.keep_reply(REPLIES[2])
        assert [store.kept_reply(reply.key) for reply in REPLIES[:3]] == REPLIES[:3]


def test_a_failure_in_a_transaction_within_another_undoes_both(storage: Storage) -> None:
    def fail(store: ServiceStore) -> None:
        with store.transaction():
            store.keep_reply(REPLIES[0])
            with store.transaction():
                store.keep_reply(REPLIES[1])
                raise ZeroDivisionError

    with storage.service_store("billing") as store:
        with pytest.raises(ZeroDivisionError):
            fail(store)
        assert [store.kept_reply(reply.key) for reply in REPLIES] == [None] * len(REPLIES)
        store.keep_reply(REPLIES[3])
    with storage.service_store("billing") as again:
        assert [again.kept_reply(reply.key) for reply in REPLIES] == [None, None, None, REPLIES[3]]
