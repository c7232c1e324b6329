"""A letter to a guest."""

import msgspec


class Letter(msgspec.Struct, frozen=True):
    """The letter of a notice, as plain text and as HTML. `subject` is one line. `language` (BCP 47) is the language of
    the letter, which differs from that of the notice where there is no template in that."""

    subject: str
    text: str
    html: str
    language: str = "en"
