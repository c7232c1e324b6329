"""The refusals of billing, beside those that all contexts share."""

from typing import ClassVar

from innkeeper.protocol.messages.refusals import FieldError, Refusal


class GuestOwes(Refusal, frozen=True):
    """The guest cannot be forgotten: the balance of these `bookings` is not zero."""

    code: ClassVar[str] = "guest_owes"
    guest: str
    bookings: tuple[str, ...]


class SellerIncomplete(Refusal, frozen=True):
    """No document can be issued: the seller in the hotel's billing terms lacks what the law demands of an invoice,
    which `lacking` names."""

    code: ClassVar[str] = "seller_incomplete"
    lacking: tuple[str, ...]


class FormatUnavailable(Refusal, frozen=True):
    """This installation cannot give a document in this format. `extra` is the extra to install for it, empty where
    there is none; the document is there in other formats."""

    code: ClassVar[str] = "format_unavailable"
    format: str
    reason: str
    extra: str = ""


class DocumentIncomplete(Refusal, frozen=True):
    """The document was issued without what this format demands; `errors` names it."""

    code: ClassVar[str] = "document_incomplete"
    errors: tuple[FieldError, ...]
