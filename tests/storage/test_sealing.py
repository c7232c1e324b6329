"""Sealed replies and secrets: they open only with the key beside their database."""

from contextlib import closing, suppress
from pathlib import Path

import pytest
from innkeeper.protocol.delivery.webhooks import SigningSecret, Webhook
from innkeeper.protocol.ports.journal import JournalError, StoredReply
from innkeeper.storage.sqlite.service_store import SqliteDeliveryStore

REPLY = StoredReply("front desk:1", b"fingerprint", b"a new secret")
WEBHOOK = Webhook(
    id="w", url="https://example.com", events=("*",), hotel=None, after={}, created_at=1, created_by="ann"
)
SECRETS = (SigningSecret("whsec_new"), SigningSecret("whsec_old", 7))


def stored(path: Path) -> Path:
    """A database with a kept reply and a webhook."""
    with closing(SqliteDeliveryStore(path)) as store:
        store.keep_reply(REPLY)
        store.webhooks.put(WEBHOOK, SECRETS)
    return path


def test_what_is_sealed_is_read_again_after_a_restart(tmp_path: Path) -> None:
    with closing(SqliteDeliveryStore(stored(tmp_path / "delivery.db"))) as store:
        assert store.kept_reply(REPLY.key) == REPLY
        assert store.kept_reply("front desk:2") is None
        assert store.webhooks.all() == [(WEBHOOK, SECRETS)]


def test_a_reply_that_is_not_committed_is_not_kept(tmp_path: Path) -> None:
    with closing(SqliteDeliveryStore(tmp_path / "delivery.db")) as store:
        with suppress(ZeroDivisionError), store.transaction():
            store.keep_reply(REPLY)
            raise ZeroDivisionError
        assert store.kept_reply(REPLY.key) is None


def test_a_database_without_its_key_is_refused_with_a_message(tmp_path: Path) -> None:
    path = stored(tmp_path / "delivery.db")
    path.with_suffix(".key").unlink()
    with pytest.raises(JournalError, match=r"delivery\.key cannot be read .*restore it"):
        SqliteDeliveryStore(path)


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    path, other = stored(tmp_path / "delivery.db"), stored(tmp_path / "other.db")
    other.with_suffix(".key").rename(path.with_suffix(".key"))
    with closing(SqliteDeliveryStore(path)) as store:
        with pytest.raises(JournalError, match="is not the key"):
            store.kept_reply(REPLY.key)
        with pytest.raises(JournalError, match="is not the key"):
            store.webhooks.all()
