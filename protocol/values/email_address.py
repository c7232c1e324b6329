"""E-mail addresses: the one rule by which they are accepted from guests and used by the mailer.

The rule is that of `email-validator` (RFC 5321 and 6531, without quoted local parts and IP addresses as domains, which
are an attack or a mistake). No DNS is asked.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from email_validator import EmailNotValidError, validate_email

# Plain addresses, which `email-validator` accepts as they are; it takes twenty times as long to say so.
_PLAIN = re.compile(
    r"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@((?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+(?!(?:arpa|invalid|local|localhost"
    r"|onion|test)\Z)[a-z]{2,})"
)
_PLAIN_CHARACTERS_MAX = 60  # no limit of a part is reached
_HOST = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_REMEMBERED = 1_024


class EmailAddress(NamedTuple):
    """An address in the form in which mail servers take it: the domain is in its DNS form."""

    local: str
    domain: str


class InvalidEmail(ValueError):
    """It is not an address that a letter can be sent to. The message says why, for the person who typed it."""


def email_address(text: str) -> EmailAddress:
    """Parses the address of a guest. Raises InvalidEmail."""
    plain = _PLAIN.fullmatch(text) if len(text) <= _PLAIN_CHARACTERS_MAX else None
    return _parsed(text) if plain is None else EmailAddress(plain[1], plain[2].lower())


@lru_cache(_REMEMBERED)
def _parsed(text: str) -> EmailAddress:
    try:
        found = validate_email(text, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise InvalidEmail(str(error)) from None
    return EmailAddress(found.local_part, found.ascii_domain)


def sender_address(text: str) -> EmailAddress:
    """Parses the address of a sender, whose host may also be one of a local network. Raises InvalidEmail."""
    local, _, domain = text.rpartition("@")
    if not _HOST.fullmatch(domain.lower()):
        return email_address(text)
    return EmailAddress(email_address(f"{local}@example.com").local, domain.lower())
