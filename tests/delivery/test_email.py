"""E-mail messages are well-formed for any input of a guest, the same at every attempt, and written to a folder."""

import asyncio
import os
from email import message_from_bytes, message_from_string
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import parseaddr, parsedate_to_datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from innkeeper.delivery.email.calendar_file import calendar_file
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.mail_transport import FolderMailTransport
from innkeeper.delivery.email.message import compose, digest, mailbox
from innkeeper.delivery.email.wording import clean
from innkeeper.protocol.notifications.letters import Letter
from innkeeper.protocol.notifications.notices import Notice, NoticeKind, Recipient
from innkeeper.protocol.ports.outbox import SendFailed
from innkeeper.protocol.values.instants import instant
from support.example_notices import HOTEL, NOON, confirmation_for, notice

LETTERS = Letters(None)
SENDER = "stay@inn.example"
DAY = 86_400_000_000
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language", "MIME-Version",
           "Content-Type"]  # fmt: skip


def received(notice: Notice, at: int = NOON) -> EmailMessage:
    """The message of a notice, as its recipient parses it."""
    message = message_from_string(compose(notice, LETTERS.write(notice), SENDER, at).decode(), policy=default)
    assert isinstance(message, EmailMessage)
    return message


def texts(message: EmailMessage) -> list[EmailMessage]:
    """The plain text and the HTML."""
    return [part for part in message.walk() if part.get_content_type() in ("text/plain", "text/html")]  # type: ignore[misc]


def bodies(message: EmailMessage) -> list[str]:
    return [part.get_content().replace("\r\n", "\n") for part in texts(message)]


def test_a_message_has_plain_text_html_and_its_headers() -> None:
    message, letter = received(notice(language="pt")), LETTERS.write(notice(language="pt"))
    assert sorted(message.keys()) == sorted(HEADERS)
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar"
    ]  # fmt: skip
    bare = received(notice(NoticeKind.RECEIPT))
    assert [part.get_content_type() for part in bare.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert bodies(message) == [letter.text, letter.html]
    assert message["Subject"] == letter.subject
    assert str(message["From"]) == "Seaside Lodge <stay@inn.example>"
    assert str(message["To"]) == "Ana Sousa <ana@example.com>"
    assert parsedate_to_datetime(message["Date"]).isoformat() == "2026-06-01T12:00:00+00:00"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "pt"
    assert message["Message-ID"].endswith("@inn.example>")
    assert message.defects == []


def test_a_notice_always_gives_the_same_message() -> None:
    first, second = (compose(notice(), LETTERS.write(notice()), SENDER, NOON) for _ in range(2))
    assert first == second
    assert received(notice())["Message-ID"] == received(notice(), NOON + DAY)["Message-ID"]
    assert received(notice())["Message-ID"] != received(notice(id="seaside:8:confirmation"))["Message-ID"]


def test_every_line_is_short_enough_for_any_mail_server() -> None:
    for kind in NoticeKind:
        for language in ("en", "pt", "de"):
            localized = notice(kind, language=language)
            body = compose(localized, LETTERS.write(localized), SENDER, NOON)
            assert body.isascii()
            assert max(map(len, body.split(b"\r\n"))) <= 78
            assert b"\n" not in body.replace(b"\r\n", b"")


@settings(max_examples=250, deadline=None)
@given(st.text(max_size=200) | st.text('=?utf-8QqBb0Aa_: \r\n\t,<>@"\\()é', max_size=200))
@example("Ann\r\nBcc: everybody@example.com")
@example('Ann" <x@evil.example>, "')
@example("=?utf-8?q?Ann=0ABcc:_x?=")
@example("a," * 100)
@example("é" * 200)
@example("Ann\x1d\x85\u2028X: y\x00")
def test_no_name_adds_a_recipient_or_a_header(name: str) -> None:
    named_notice = msgspec.structs.replace(confirmation_for(name), hotel=msgspec.structs.replace(HOTEL, name=name))
    message = received(named_notice)
    assert sorted(message.keys()) == sorted(HEADERS)
    assert [address.addr_spec for address in message["To"].addresses] == ["ana@example.com"]
    assert [address.addr_spec for address in message["From"].addresses] == [SENDER]
    assert bodies(message) == [LETTERS.write(named_notice).text, LETTERS.write(named_notice).html]


def is_encodable(text: str) -> bool:
    """Whether this is text: half of a surrogate pair is none."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


LINES = st.text("ab=.\t \n\ré€\u2028😀") | st.text(max_size=300) | st.sampled_from(["From ann\n.\n..\n", "x" * 2_000])
TEXTS = st.lists(LINES, min_size=1, max_size=6).map(lambda lines: "\n".join([*lines, ""])).filter(is_encodable)


def made_by_the_library(notice: Notice, letter: Letter) -> EmailMessage:
    """The same message, made and read by the standard library; without names and subject, in which it decodes what
    looks like an encoded word."""
    message = EmailMessage(policy=SMTP)
    message["Date"] = instant(NOON)
    message["Message-ID"] = f"<{digest(notice)}@inn.example>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text, charset="utf-8", cte="quoted-printable")
    message.add_alternative(letter.html, subtype="html", charset="utf-8", cte="quoted-printable")
    calendar = calendar_file(notice, SENDER, NOON)
    assert calendar is not None
    message.add_attachment(calendar.body, "text", "calendar", filename="stay.ics")
    message["Content-Language"] = letter.language
    return read(message.as_bytes())


def read(message: bytes) -> EmailMessage:
    parsed = message_from_bytes(message, policy=default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def name_and_address(message: EmailMessage, header: str) -> tuple[str, str]:
    """The mailbox in a header. (The newer parser of Python 3.11 puts spaces between the encoded words of a name.)"""
    (raw,) = [value for name, value in message.raw_items() if name == header]
    name, address = parseaddr(raw)
    return str(make_header(decode_header(name))), address


@settings(max_examples=150, deadline=None)
@given(name=st.text(max_size=120), subject=st.text(min_size=1, max_size=200), text=TEXTS, html=TEXTS)
@example(name="山田太郎 " * 20, subject="Your booking at the Grand Hotel " * 6, text="a  \n\n b\t\n", html=". \n")
@example(name="Ann", subject="Zoë: =?utf-8?q?Bcc:_x?=", text="\r\n.\r\n", html="x" * 5_000 + "\n.\n")
def test_a_message_is_read_like_one_that_the_standard_library_makes(
    name: str, subject: str, text: str, html: str
) -> None:
    letter = Letter(clean(subject) or "x", text, html, "pt-BR")
    named = msgspec.structs.replace(confirmation_for(name), hotel=msgspec.structs.replace(HOTEL, name=name))
    ours, theirs = read(compose(named, letter, SENDER, NOON)), made_by_the_library(named, letter)
    for header in ("Date", "Message-ID", "Auto-Submitted", "Content-Language", "MIME-Version"):
        assert ours[header] == theirs[header], header
    assert ours["Subject"] == letter.subject
    assert name_and_address(ours, "From") == (clean(name)[:100], SENDER)
    assert name_and_address(ours, "To") == (clean(name)[:100], "ana@example.com")
    assert (sorted(ours.keys()), ours.defects) == (sorted(HEADERS), [])
    our_file, their_file = next(ours.iter_attachments()), next(theirs.iter_attachments())
    assert our_file.get_payload(decode=True) == their_file.get_payload(decode=True)
    assert our_file["Content-Disposition"] == their_file["Content-Disposition"]
    for our_part, their_part in zip(texts(ours), texts(theirs), strict=True):
        del their_part["MIME-Version"]  # which a part does not need
        assert our_part.items() == their_part.items()
        assert our_part.get_payload(decode=True) == their_part.get_payload(decode=True)
        assert our_part.defects == []


def test_a_name_arrives_as_it_was_typed() -> None:
    for name in ("Zoë Müller-Lüdenscheidt", "O'Brien, Pat", 'Joe "the Boss"', "山田太郎", "Ana (Ms.)"):
        assert received(confirmation_for(name))["To"].addresses[0].display_name == name


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        ("Ann.O'Neil+inn@Example.COM", "Ann.O'Neil+inn@example.com"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("jörg@example.com", "jörg@example.com"),
    ],
)
def test_an_address_is_accepted(email: str, expected: str) -> None:
    assert mailbox(email).address == expected


@pytest.mark.parametrize(
    "email",
    ["", "ann", "@", "ann@", "@example.com", "ann@@example.com", "a b@example.com", "ann@exa mple.com", "ann.@x.com",
     "ann@example..com", "ann@-x.com", "ann@x.com\r\nBcc: bo@x.com", "ann@x.com\n", '"ann"@x.com', "ann@[127.0.0.1]",
     "<ann@x.com>", "ann@x.com,bo", "ann,bo@x.com", "a" * 65 + "@x.com", "ann@" + "a" * 64 + ".com",
     "ann@" + "a." * 130 + "com", "ann@x.com\x00", "ann@x.com>", "ann@x\u2028y.com", "ann@ex%41mple.com", "ann@é/x",
     "ann@é:25", "\ud800@x.com"],
)  # fmt: skip
def test_a_malformed_address_is_a_permanent_failure(email: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not an e-mail address"):
        mailbox(email)
    with pytest.raises(SendFailed) as caught:
        deliver(tmp_path, notice(recipient=Recipient("Ann", email)))
    assert (caught.value.permanent, caught.value.unreachable) == (True, False)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80), st.sampled_from(["", "@x.com", "@é.com", "ann@"]))
def test_an_accepted_address_is_a_single_address(text: str, addition: str) -> None:
    for email in (text + addition, addition + text):
        try:
            address = mailbox(email)
        except ValueError:
            continue
        assert address.address == clean(address.address)
        assert not set(address.address) & set(' <>,;:"\\()[]')
        assert address.address.count("@") == 1
        addressed = notice(recipient=Recipient("Ann", email))
        assert [recipient.addr_spec for recipient in received(addressed)["To"].addresses] == [address.address]


def deliver(folder: Path, *notices: Notice, at: int = NOON) -> None:
    """Write the letters of these notices to a folder."""

    async def work() -> None:
        transport = FolderMailTransport(folder, LETTERS, SENDER, lambda: at)
        errors = list[Exception | None]()
        await transport(notices, lambda _, error: errors.append(error))
        for error in filter(None, errors):
            raise error

    asyncio.run(work())


def test_a_letter_is_a_file_that_mail_programs_can_open(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    deliver(folder, notice(), notice(NoticeKind.HOLD))
    names = sorted(path.name for path in folder.iterdir())
    assert names[0].startswith("K7Q2ZP-confirmation-")
    assert names[1].startswith("K7Q2ZP-hold-")
    message = message_from_bytes((folder / names[0]).read_bytes(), policy=default)
    assert message["Subject"] == LETTERS.write(notice()).subject


def test_a_letter_that_is_sent_again_does_not_become_a_second_file(tmp_path: Path) -> None:
    deliver(tmp_path, notice(), notice())
    deliver(tmp_path, notice(), at=NOON + 3 * DAY)
    assert len(list(tmp_path.iterdir())) == 1
    deliver(tmp_path, notice(id="another"))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_locator_with_a_path_stays_within_the_folder(tmp_path: Path) -> None:
    deliver(tmp_path, notice(locator="../../K7*[a]\x00"))
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("K7a-confirmation-")


def test_a_folder_that_cannot_be_written_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SendFailed, match="cannot be written") as caught:
        deliver(tmp_path / "file", notice())
    assert (caught.value.permanent, caught.value.unreachable) == (False, True)


def test_a_letter_that_cannot_be_written_whole_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_on_full_disk(handle: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail_on_full_disk)
    with pytest.raises(SendFailed, match="No space left"):
        deliver(tmp_path, notice())
    assert list(tmp_path.iterdir()) == []


def test_a_malformed_sender_is_refused_at_construction(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not an e-mail address"):
        FolderMailTransport(tmp_path, LETTERS, "inn", lambda: NOON)
