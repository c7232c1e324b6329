"""The base of all messages to a service."""

from typing import ClassVar

import msgspec


class ServiceMessage(msgspec.Struct, frozen=True):
    """The base of all messages to a service. `service` is its name, or "" where any service may be the addressee."""

    service: ClassVar[str]
