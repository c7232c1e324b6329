"""The base of all messages to a service."""

from typing import ClassVar

import msgspec


class ServiceMessage(msgspec.Struct, frozen=True):
    """The base of all messages to a service. `name` is its name on the wire, `service` the service that it is
    for, or "" where any may be. `changes` is false for a message that only reads."""

    name: ClassVar[str]
    service: ClassVar[str]
    changes: ClassVar[bool] = True
