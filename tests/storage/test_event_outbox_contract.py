"""What every outbox of events does: it keeps what is to be published, in order, together with what it reports."""

from contextlib import suppress

from innkeeper.protocol.delivery.events import DisabledReason, WebhookDisabled, WebhookEnabled
from innkeeper.protocol.ports.event_outbox import UnpublishedEvent
from innkeeper.protocol.ports.storage import Storage
from innkeeper.protocol.values.contexts import DELIVERY

DISABLED = UnpublishedEvent(
    "b", 7, "_all", WebhookDisabled("1", "https://a.example", DisabledReason.GONE, "gone"), "x:1"
)
ENABLED = UnpublishedEvent("a", 8, "inn", WebhookEnabled("1", "https://a.example"), "")


def test_events_are_kept_in_the_order_in_which_they_came_until_they_are_removed(storage: Storage) -> None:
    with storage.delivery_store(DELIVERY) as store:
        assert store.event_outbox.oldest(10) == []
        store.event_outbox.add(DISABLED)
        store.event_outbox.add(ENABLED)
    with storage.delivery_store(DELIVERY) as store:
        assert store.event_outbox.oldest(10) == [DISABLED, ENABLED]
        assert store.event_outbox.oldest(1) == [DISABLED]
        store.event_outbox.remove("b")
        store.event_outbox.add(DISABLED)
        assert store.event_outbox.oldest(10) == [ENABLED, DISABLED]


def test_an_event_is_kept_with_the_change_that_it_reports_or_not_at_all(storage: Storage) -> None:
    with storage.delivery_store(DELIVERY) as store:
        with suppress(KeyError), store.transaction():
            store.event_outbox.add(DISABLED)
            raise KeyError
        assert store.event_outbox.oldest(10) == []
