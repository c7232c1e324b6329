"""What a guest finds in the mail."""

import msgspec


class Letter(msgspec.Struct, frozen=True):
    """A notice in words: the same twice, as plain text and as a page of HTML. `subject` is one line, `language` is what
    it is written in (BCP 47), which is not always what was wished for."""

    subject: str
    text: str
    html: str
    language: str = "en"
