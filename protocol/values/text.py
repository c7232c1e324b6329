"""The types of text and numbers that clients send, with their limits. Decoding enforces them.

A type that has a form describes it: the description completes the sentence "expected …" in a refusal, and is in the
OpenAPI document.
"""

from typing import Annotated

from innkeeper.protocol.values import limits
from msgspec import Meta

# What is invisible or misleads: control characters (a NUL byte in a name is an attack or an accident), soft hyphens,
# zero-width characters and fillers, marks that change the direction of the text, private and reserved characters.
_HIDDEN = (
    r"\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    r"\ud800-\uf8ff\ufdd0-\ufdef\ufeff\uffa0\ufff0-\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000323b0-\U0010ffff"
)
# A joiner (U+200C, U+200D) is needed in words of some scripts, such as Persian and Hindi, and in some emoji.
_JOINED = (
    r"[\u0600-\u10ff\u1780-\u18af\u1900-\u1cff\u2600-\u27bf\ua800-\uabff\ufb50-\ufdcf\ufe0f\ufe70-\ufefc"
    "\U00010a00-\U00011fff\U0001f000-\U0001faff]"
)


def _only(hidden: str) -> str:
    """The form of a text without these characters, and without blanks around it."""
    return rf"^(?!\s)[^{hidden}]*((?<={_JOINED})[\u200c\u200d](?={_JOINED})[^{hidden}]*)*(?<!\s)(?![\s\S])"


_LINE = _only(rf"\x00-\x1f{_HIDDEN}")
_EMAIL = rf"^[^@\s\x00-\x1f{_HIDDEN}]+@[^@\s\x00-\x1f{_HIDDEN}]+(?![\s\S])"
_PROSE = _only(rf"\x00-\x08\x0b\x0c\x0e-\x1f{_HIDDEN}")
_SLUG = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(?![\s\S])"
_CODE = r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(?![\s\S])"
_PREFIX = r"^(?!.*\{year\}.*\{year\})([A-Za-z0-9/-]|\{year\})*[A-Za-z/-](?![\s\S])"
_POSTAL_CODE = r"^([A-Za-z0-9]([A-Za-z0-9 -]*[A-Za-z0-9])?)?(?![\s\S])"
_COUNTRY = r"^([A-Z]{2})?(?![\s\S])"
_VAT_ID = r"^([A-Z]{2}[A-Z0-9+*]{2,12})?(?![\s\S])"
_IBAN = r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}(?![\s\S])"
_BIC = r"^([A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?)?(?![\s\S])"
_WEB_ADDRESS = rf"^https?://[^/\s\x00-\x20\"<>{_HIDDEN}][^\s\x00-\x20\"<>{_HIDDEN}]*(?![\s\S])"
_VISIBLE = r"\S"
UNPADDED = r"^(?!\s)[\s\S]*(?<!\s)(?![\s\S])"
"""The form of a text with no other form: no blanks around it, see `innkeeper.http.api.parsing`."""
_LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*(?![\s\S])"
_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9](?![\s\S])"

Slug = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.slug_characters_max,
        pattern=_SLUG,
        description="lower-case letters a to z, digits, and between them hyphens, such as hotel-do-mar",
    ),
]
Code = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.room_number_characters_max,
        pattern=_CODE,
        description="letters a to z, digits, and between them dots, hyphens and underscores, such as DBL or 101",
    ),
]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.name_characters_max,
        pattern=rf"(?=[\s\S]*{_VISIBLE}){_LINE}",
        description="one line of text that is not blank, without control or invisible characters",
    ),
]
Line = Annotated[
    str,
    Meta(
        max_length=limits.name_characters_max,
        pattern=_LINE,
        description="one line of text, without control or invisible characters",
    ),
]
SearchText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.name_characters_max,
        pattern=_LINE,
        description="one line of text, without control or invisible characters",
    ),
]
Email = Annotated[
    str,
    Meta(
        max_length=limits.name_characters_max,
        pattern=_EMAIL,
        description="an e-mail address without spaces, such as ann@example.com",
    ),
]
Notes = Annotated[
    str,
    Meta(
        max_length=limits.notes_characters_max,
        pattern=_PROSE,
        description="text without control or invisible characters other than tabs and line breaks",
    ),
]
Language = Annotated[
    str,
    Meta(
        max_length=limits.language_characters_max,
        pattern=_LANGUAGE,
        description="a language tag (BCP 47), such as en or pt-BR",
    ),
]
WebAddress = Annotated[
    str,
    Meta(
        max_length=limits.web_address_characters_max,
        pattern=_WEB_ADDRESS,
        description="an address that begins with https:// or http://, such as https://seaside.example",
    ),
]
ClockTime = Annotated[
    str,
    Meta(
        max_length=limits.clock_characters_max,
        pattern=_CLOCK,
        description="a local time from 00:00 to 23:59, such as 15:00",
    ),
]
TimeZone = Annotated[str, Meta(max_length=limits.timezone_characters_max, pattern=UNPADDED)]
CurrencyCode = Annotated[str, Meta(max_length=limits.currency_characters_max, pattern=UNPADDED)]
Amount = Annotated[str, Meta(max_length=limits.amount_characters_max, pattern=UNPADDED)]
PercentText = Annotated[str, Meta(max_length=limits.percent_characters_max, pattern=UNPADDED)]
Adults = Annotated[int, Meta(ge=1, le=limits.guests_per_room_max)]
ChildAge = Annotated[int, Meta(ge=0, le=limits.child_age_max)]
Children = Annotated[tuple[ChildAge, ...], Meta(max_length=limits.guests_per_room_max)]
HoldSeconds = Annotated[int, Meta(ge=1, le=limits.hold_seconds_max)]
AddressLines = Annotated[tuple[Name, ...], Meta(max_length=limits.address_lines_max)]
Quantity = Annotated[int, Meta(ge=1, le=limits.charge_quantity_max)]
Percent = Annotated[int, Meta(ge=1, le=100)]
LineNumber = Annotated[int, Meta(ge=1, le=limits.line_number_max)]
# The prefix of a document number. It does not end in a digit or in the year, so that two numbers differ.
DocumentPrefix = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=limits.document_prefix_characters_max,
        pattern=_PREFIX,
        description="letters a to z, digits, slashes, hyphens and once {year}, the last no digit, such as INV-{year}-",
    ),
]
PostalCode = Annotated[
    str,
    Meta(
        max_length=limits.postal_code_characters_max,
        pattern=_POSTAL_CODE,
        description="letters a to z and digits, and between them spaces and hyphens, such as 8000-001",
    ),
]
Country = Annotated[
    str,
    Meta(
        max_length=limits.country_characters_max,
        pattern=_COUNTRY,
        description="a country code of two capital letters (ISO 3166-1), such as PT",
    ),
]
VatId = Annotated[
    str,
    Meta(
        max_length=limits.vat_id_characters_max,
        pattern=_VAT_ID,
        description="the two letters of the state and 2 to 12 capital letters and digits, such as PT500000000",
    ),
]
Iban = Annotated[
    str,
    Meta(
        max_length=limits.iban_characters_max,
        pattern=_IBAN,
        description="an IBAN (ISO 13616) without spaces, such as PT50000201231234567890154",
    ),
]
Bic = Annotated[
    str,
    Meta(
        max_length=limits.bic_characters_max,
        pattern=_BIC,
        description="a BIC (ISO 9362) of 8 or 11 capital letters and digits, such as CGDIPTPL",
    ),
]
