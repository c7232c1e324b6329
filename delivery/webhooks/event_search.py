"""Finds an event in the logs by its id, to send it again."""

from collections.abc import Iterable

from innkeeper.protocol.messages.recorded_event import LogEntry
from innkeeper.protocol.ports.subscriptions import EventLog, with_guests

_DIGITS_MAX = 18


def find_event(logs: Iterable[EventLog], event: str) -> LogEntry | None:
    """Returns the event with this id, from any of the logs, with the details of its guest; None where there is none."""
    name, _, number = event.rpartition(":")
    seq = number.partition("-")[0]
    if not (seq.isascii() and seq.isdigit() and len(seq) < _DIGITS_MAX):
        return None
    hotel = name.rpartition(":")[2]
    found = (entry for log in logs for entry in with_guests(log.read(0, 1, hotel, int(seq) - 1), log))
    return next((entry for entry in found if entry[1].id == event), None)
