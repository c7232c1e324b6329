"""The letters that a gateway writes to the folder of its data directory."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from html import unescape
from pathlib import Path

from support.waiting import wait_until

SECONDS_MAX = 60


class MailFolder:
    """The letters that a gateway writes to its data directory."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def letters(self, kind: str = "") -> list[EmailMessage]:
        """All letters of a kind, oldest day first."""
        found = []
        for path in sorted(self.data.glob(f"mail/*-{kind or '[a-z]*'}-*.eml")):
            letter = message_from_bytes(path.read_bytes(), policy=default)
            assert isinstance(letter, EmailMessage)
            found.append(letter)
        return found

    def letter(self, kind: str) -> EmailMessage:
        """The only letter of a kind, once it is there."""
        wait_until(lambda: len(self.letters(kind)) == 1, SECONDS_MAX)
        return self.letters(kind)[0]


def text(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return " ".join(body.get_content().split())


def html_text(letter: EmailMessage) -> str:
    """The words of the HTML."""
    body = letter.get_body(("html",))
    assert body is not None
    return html_words(body.get_content())


def html_words(page: str) -> str:
    """The words of a page."""
    return " ".join(unescape(re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)).split())
