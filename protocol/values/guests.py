"""Guests: the personal data that can be forgotten, and what refers to it.

Events, states and snapshots refer to a version of a guest's details by its id, its number and its hash. The details are
kept beside the events, where they can be erased: what is left reveals nothing of them, because the hash has a random
salt, which is erased with them.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from hashlib import blake2b
from typing import Any, Final, TypeVar, get_args

import msgspec

T = TypeVar("T")
SALT_BYTES: Final = 16

GuestKey = tuple[str, int]
"""A version of a guest's details: the guest's id, and the version."""


class GuestDetails(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The personal data of a guest. `language` (BCP 47) is that of letters and invoices; None is the
    hotel's."""

    name: str
    email: str | None = None
    phone: str | None = None
    notes: str = ""
    address: tuple[str, ...] = ()
    tax_number: str = ""
    postal_code: str = ""
    city: str = ""
    country: str = ""
    vat_id: str = ""
    language: str | None = None


class Guest(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A version of a guest's details. Versions of one guest ascend, with gaps. `details` are never stored in this: None
    where they were not read yet, or are forgotten."""

    id: str
    version: int
    hash: bytes
    details: GuestDetails | None = None

    @property
    def key(self) -> GuestKey:
        """What its details are stored under."""
        return self.id, self.version

    @property
    def name(self) -> str:
        """The guest's name; empty where it is forgotten."""
        return "" if self.details is None else self.details.name


class StoredGuest(msgspec.Struct, frozen=True, gc=False):
    """A version of a guest as it is stored, with the salt of its hash. The guest is without details where they are
    erased."""

    hotel: str
    guest: Guest
    salt: bytes


_pack = msgspec.msgpack.Encoder().encode


def new_guest(hotel: str, id_: str, version: int, details: GuestDetails, salt: bytes) -> Guest:
    """Returns a version of a guest's details, with their hash; the salt is random."""
    packed = _pack((hotel, id_, version, details))
    return Guest(id_, version, blake2b(packed, key=salt, digest_size=16).digest(), details)


def new_version(id_: str, details: GuestDetails) -> Guest:
    """Returns a version that has no number yet: 0, and no hash. It gets both with its event."""
    return Guest(id_, 0, b"", details)


def new_versions(hotel: str, guests: Iterable[Guest], after: int, salt: bytes) -> dict[GuestKey, StoredGuest]:
    """Returns those of these guests whose details a command has just given, as they are to be stored: their versions
    are above `after`, the number of the hotel's last event before the command."""
    return {guest.key: StoredGuest(hotel, guest, salt) for guest in guests if guest.version > after}


def bare(value: T) -> T:
    """Returns the value (a message, or a part of one) without the details of the guests in it."""
    return _changed(value, lambda guest: guest if guest.details is None else Guest(guest.id, guest.version, guest.hash))


def with_details(value: T, found: Mapping[GuestKey, GuestDetails]) -> T:
    """Returns the value with the details that were found, for those guests in it that have none."""
    return _changed(
        value,
        lambda guest: (
            guest
            if guest.details is not None or guest.key not in found
            else Guest(guest.id, guest.version, guest.hash, found[guest.key])
        ),
    )


def guests_in(value: object) -> list[Guest]:
    """Returns the guests in a message, or in a part of one."""
    found: list[Guest] = []
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, Guest):
            found.append(part)
        elif isinstance(part, tuple):
            parts += part
        else:
            for name in _fields_with_guests(type(part)):  # type: ignore[arg-type]
                parts.append(getattr(part, name))
    return found


def without_details(values: Iterable[object]) -> list[GuestKey]:
    """Returns what the details of those guests are stored under that have none in these values; each once."""
    keys = {guest.key: None for value in values for guest in guests_in(value) if guest.details is None and guest.hash}
    return [*keys]


def _changed(value: T, change: Callable[[Guest], Guest]) -> T:
    """The value with each guest in it changed; the value itself where no part of it can have a guest."""
    kind = type(value)
    if kind is Guest:
        return change(value)  # type: ignore[arg-type, return-value]
    if kind is tuple:
        return tuple(_changed(one, change) for one in value)  # type: ignore[attr-defined, return-value]
    fields = _fields_with_guests(kind)  # type: ignore[arg-type]
    if not fields:
        return value
    return msgspec.structs.replace(value, **{name: _changed(getattr(value, name), change) for name in fields})  # type: ignore[type-var]


@cache
def _fields_with_guests(kind: type) -> tuple[str, ...]:
    """The fields of a struct in which guests can be."""
    if not issubclass(kind, msgspec.Struct):
        return ()
    return tuple(field.name for field in msgspec.structs.fields(kind) if _can_have_guests(field.type))


def _can_have_guests(kind: Any) -> bool:
    if kind is Guest:
        return True
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return bool(_fields_with_guests(kind))
    return any(_can_have_guests(part) for part in get_args(kind))
