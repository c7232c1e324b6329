"""The base of all events."""

from typing import ClassVar

import msgspec
from innkeeper.protocol.values.contexts import RESERVATIONS


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The base of all events. `name` is the public name of the type, which never changes; `version` is the version of
    its fields. `context` is the context that defines it, and whose log holds it."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    context: ClassVar[str] = RESERVATIONS


class ForgettingEvent(Event, frozen=True):
    """The base of the events by which a context forgets a guest: with such an event, its journal erases the details of
    all versions of `guest`."""

    guest: str
