"""The base of all events."""

from typing import ClassVar

import msgspec
from innkeeper.protocol.values.contexts import RESERVATIONS


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The base of all events. `name` is the type's name to the outside, `version` counts its changes of form;
    `context` is the context in whose words it speaks, and in whose log it stands."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    context: ClassVar[str] = RESERVATIONS
