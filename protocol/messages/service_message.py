"""The base of all messages to a service."""

from typing import ClassVar

import msgspec


class ServiceMessage(msgspec.Struct, frozen=True):
    """The base of what is told to a service that listens: the one of this name, or "" for those whom it concerns."""

    service: ClassVar[str]
