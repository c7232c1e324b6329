"""The same message is logged once a minute."""

from innkeeper.protocol.values.repeated_messages import RepeatedMessages


def test_a_message_is_due_again_after_a_minute() -> None:
    now = [0.0]
    messages = RepeatedMessages(lambda: now[0])
    assert messages.is_due("the disk is full")
    now[0] = 59.0
    assert not messages.is_due("the disk is full")
    assert messages.is_due("the disk is read-only")
    now[0] = 60.0
    assert messages.is_due(ValueError("the disk is full"))
    assert not messages.is_due("the disk is read-only")
