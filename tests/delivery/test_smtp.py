"""Letters are sent to a real mail server, whose replies decide whether one letter or all of them have to wait."""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from innkeeper.delivery.email.smtp import SmtpMailTransport, SmtpServer
from innkeeper.protocol.notifications.notices import NoticeKind, Recipient
from innkeeper.protocol.ports.outbox import SendFailed
from support.certificates import Certificate, loopback_certificate
from support.example_notices import NOON, confirmation_for, notice
from support.mail_delivery import LETTERS, SENDER, deliver, failure, send, url, verdict, with_transport
from support.smtp_server import RecordingSmtpServer, smtp_server

CREDENTIALS = "ann:p%40ss%20word@"


@pytest.fixture(params=[False, True], ids=["one command at a time", "pipelining"])
def server(request: pytest.FixtureRequest) -> Iterator[RecordingSmtpServer]:
    with smtp_server(pipelines=request.param) as server:
        yield server


def test_letters_arrive_complete_over_one_connection(server: RecordingSmtpServer) -> None:
    notices = [
        notice(kind, language=language, id=f"{kind}-{language}") for kind in NoticeKind for language in ("pt", "de")
    ]
    send(url(server), *notices)
    assert [letter["Subject"] for letter in server.letters] == [LETTERS.write(one).subject for one in notices]
    alternatives, _ = server.letters[0].iter_parts()
    text, page = alternatives.iter_parts()  # type: ignore[union-attr]
    assert text.get_content().replace("\r\n", "\n") == LETTERS.write(notices[0]).text  # type: ignore[union-attr]
    assert page.get_content().replace("\r\n", "\n") == LETTERS.write(notices[0]).html  # type: ignore[union-attr]
    assert (server.envelopes[0].mail_from, server.envelopes[0].rcpt_tos) == (SENDER, ["ana@example.com"])
    assert len({id(session) for session in server.sessions}) == 1


def test_concurrent_letters_share_a_few_connections(server: RecordingSmtpServer) -> None:
    server.delay_seconds = 1.0
    began = time.monotonic()

    async def work(transport: SmtpMailTransport) -> None:
        await deliver(transport, *(notice(id=str(number)) for number in range(8)))

    with_transport(url(server), work, patience_seconds=0.25)
    assert len({letter["Message-ID"] for letter in server.letters}) == 8
    assert time.monotonic() - began < 8 * 1.0
    assert len({id(session) for session in server.sessions}) == 4


def test_a_connection_that_the_server_dropped_is_opened_again(server: RecordingSmtpServer) -> None:
    server.disconnects_left = 2

    async def work(transport: SmtpMailTransport) -> None:
        for number in range(4):
            await deliver(transport, notice(id=str(number)))
            await asyncio.sleep(0.2)

    with_transport(url(server), work)
    assert len(server.letters) == 4
    assert len({id(session) for session in server.sessions}) == 3


def test_a_stale_connection_is_replaced_before_the_next_letter(
    server: RecordingSmtpServer,
) -> None:
    server.reset_replies = ["421 4.4.2 you said nothing for too long"]

    async def work(transport: SmtpMailTransport) -> None:
        for number in range(3):
            await deliver(transport, notice(id=str(number)))

    with_transport(url(server), work)
    assert len(server.letters) == 3
    assert len({id(session) for session in server.sessions}) == 2


@pytest.mark.parametrize(
    ("where", "answer", "expected"),
    [
        ("recipient_replies", "550 5.1.1 no such mailbox", "for good"),
        ("recipient_replies", "554 5.7.1 we relay nothing", "for good"),
        ("recipient_replies", "450 4.2.0 try later", "later"),
        ("recipient_replies", "452 4.2.2 mailbox full", "later"),
        ("recipient_replies", "421 4.3.2 closing down", "away"),
        ("recipient_replies", "530 5.7.0 authentication required", "away"),
        ("letter_replies", "554 5.6.0 looks like spam", "for good"),
        ("letter_replies", "451 4.3.0 try later", "later"),
        ("letter_replies", "421 4.3.2 closing down", "away"),
        ("sender_replies", "550 5.7.1 not your address", "away"),
        ("sender_replies", "451 4.3.0 try later", "later"),
        ("sender_replies", "552 5.3.4 too large", "for good"),
    ],
)
def test_the_reply_of_the_server_decides_how_a_letter_fails(
    server: RecordingSmtpServer, where: str, answer: str, expected: str
) -> None:
    getattr(server, where).append(answer)

    async def work(transport: SmtpMailTransport) -> None:
        with pytest.raises(SendFailed) as caught:
            await deliver(transport, notice())
        assert verdict(caught.value) == expected
        assert answer[:3] in str(caught.value)
        assert server.letters == []
        await deliver(transport, notice(id="next"))

    with_transport(url(server), work)
    assert len(server.letters) == 1


def test_a_closed_port_or_unknown_host_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed_port = f"smtp://127.0.0.1:{free.getsockname()[1]}"
    assert verdict(failure(closed_port)) == "away"
    assert verdict(failure("smtp://no-such-host.invalid:25")) == "away"


@contextmanager
def silent_server(greeting: bytes = b"") -> Iterator[str]:
    """The URL of a server that accepts connections, sends this greeting, and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connections = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.sendall(greeting)
                connections.append(connection)

        thread = Thread(target=accept)
        thread.start()
        try:
            yield f"smtp://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()


@pytest.mark.parametrize("greeting", [b"", b"220 hello\r\n", b"554 not today\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_silent_or_malformed_greeting_soon_counts_as_unreachable(greeting: bytes) -> None:
    began = time.monotonic()
    with silent_server(greeting) as address:
        assert verdict(failure(address, connect_seconds_max=0.3, command_seconds_max=0.3)) == "away"
    assert time.monotonic() - began < 20


def test_a_slow_server_is_unreachable_and_its_connection_is_not_reused(server: RecordingSmtpServer) -> None:
    server.delay_seconds = 4.0

    async def work(transport: SmtpMailTransport) -> None:
        with pytest.raises(SendFailed) as caught:
            await deliver(transport, notice())
        assert verdict(caught.value) == "away"
        server.delay_seconds = 0
        await deliver(transport, notice(id="next"))

    with_transport(url(server), work, command_seconds_max=1.5)
    assert [letter["Message-ID"] for letter in server.letters] == [server.letters[0]["Message-ID"]]


def test_a_cancelled_letter_leaves_no_half_used_connection(server: RecordingSmtpServer) -> None:
    server.delay_seconds = 0.5

    async def work(transport: SmtpMailTransport) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(deliver(transport, notice()), 0.2)
        server.delay_seconds = 0
        await deliver(transport, notice(id="next"))

    with_transport(url(server), work)
    assert len(server.letters) == 1


def test_a_name_cannot_add_a_recipient(server: RecordingSmtpServer) -> None:
    send(url(server), confirmation_for("Ann\r\nRCPT TO:<bo@example.com>\r\nBcc: bo@example.com"))
    assert server.envelopes[0].rcpt_tos == ["ana@example.com"]
    assert server.letters[0]["Bcc"] is None


@pytest.mark.parametrize("email", ["ann@x.com> SIZE=1", "ann@x.com\r\nDATA", "bo", "ann@"])
def test_a_malformed_address_never_reaches_the_server(server: RecordingSmtpServer, email: str) -> None:
    assert verdict(failure(url(server), notice(recipient=Recipient("Ann", email)))) == "for good"
    assert server.sessions == []


def test_a_non_ascii_address_is_sent_only_to_a_server_with_smtputf8() -> None:
    non_ascii = notice(recipient=Recipient("Jörg", "jörg@example.com"))
    with smtp_server(enable_SMTPUTF8=True) as server:
        send(url(server), non_ascii)
        assert server.envelopes[0].rcpt_tos == ["jörg@example.com"]
    with smtp_server(enable_SMTPUTF8=False) as server:
        assert verdict(failure(url(server), non_ascii)) == "for good"
        send(url(server), notice(recipient=Recipient("Jörg", "jorg@exämple.com")))
        assert server.envelopes[0].rcpt_tos == ["jorg@xn--exmple-cua.com"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The TLS contexts of a server with a certificate for 127.0.0.1, and of a client that trusts it."""
    return loopback_certificate(tmp_path_factory.mktemp("certificate"))


def test_starttls_is_used_where_offered_and_can_be_required_or_disabled(certificate: Certificate) -> None:
    server_context, trust = certificate
    with smtp_server(server_context) as server:
        send(url(server), notice())
        send(url(server, "?starttls=required"), notice(), trust=trust)
        send(url(server, "?starttls=never"), notice())
        assert server.encrypted == [True, True, False]


def test_an_untrusted_certificate_is_not_accepted(certificate: Certificate) -> None:
    with smtp_server(certificate[0]) as server:
        error = failure(url(server, "?starttls=required"))
        assert verdict(error) == "away"
        assert "certificate" in str(error).lower()
        assert server.letters == []


def test_nothing_is_sent_where_starttls_is_required_and_not_offered(server: RecordingSmtpServer) -> None:
    assert verdict(failure(url(server, "?starttls=required"))) == "away"
    assert server.letters == []


def test_smtps_uses_tls_from_the_first_byte(certificate: Certificate) -> None:
    server_context, trust = certificate
    with smtp_server(server_context, implicit=True) as server:
        send(f"smtps://127.0.0.1:{server.port}", notice(), trust=trust)
        assert server.encrypted == [True]
        assert verdict(failure(f"smtps://127.0.0.1:{server.port}")) == "away"
        assert verdict(failure(url(server), connect_seconds_max=1)) == "away"


def test_a_password_authenticates_and_a_wrong_one_is_unreachable(certificate: Certificate) -> None:
    server_context, trust = certificate
    with smtp_server(server_context, auth_required=True) as server:
        send(f"smtp://{CREDENTIALS}127.0.0.1:{server.port}?starttls=required", notice(), trust=trust)
        assert len(server.letters) == 1
        wrong_password = failure(f"smtp://ann:s3cr3t@127.0.0.1:{server.port}?starttls=required", trust=trust)
        assert verdict(wrong_password) == "away"
        assert "s3cr3t" not in str(wrong_password)
        assert verdict(failure(url(server, "?starttls=never"))) == "away"


def test_a_password_for_a_server_without_authentication_is_unreachable(server: RecordingSmtpServer) -> None:
    assert verdict(failure(f"smtp://{CREDENTIALS}127.0.0.1:{server.port}")) == "away"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 25, "offered", None, None)),
        ("smtp://mail.example.com:2525/", ("mail.example.com", 2525, "offered", None, None)),
        ("smtp://ann:p%40ss%20word@mail.example.com", ("mail.example.com", 587, "required", "ann", "p@ss word")),
        ("smtp://ann%40x.com:p@mail.example.com:25", ("mail.example.com", 25, "required", "ann@x.com", "p")),
        ("smtp://ann:p@localhost:25", ("localhost", 25, "offered", "ann", "p")),
        ("smtp://ann:p@127.8.0.1:25", ("127.8.0.1", 25, "offered", "ann", "p")),
        ("smtp://[::1]:25", ("::1", 25, "offered", None, None)),
        ("smtp://ann:p@mail.example.com?starttls=never", ("mail.example.com", 587, "never", "ann", "p")),
        ("smtp://localhost?starttls=required", ("localhost", 25, "required", None, None)),
        ("smtps://ann:p@mail.example.com", ("mail.example.com", 465, "implicit", "ann", "p")),
        ("SMTPS://mail.example.com:4465", ("mail.example.com", 4465, "implicit", None, None)),
    ],
)
def test_a_url_gives_host_port_encryption_and_credentials(text: str, expected: tuple[Any, ...]) -> None:
    server = SmtpServer.parse(text)
    assert (server.host, server.port, server.tls, server.user, server.password) == expected
    assert "p@ss" not in repr(server)


@pytest.mark.parametrize(
    "text",
    ["", "mail.example.com", "http://mail.example.com", "smtp://", "smtp://:25", "smtp://x:port", "smtp://x:0",
     "smtp://x:99999", "smtp://s3cr3t@x", "smtp://:s3cr3t@x", "smtp://ann:@x", "smtp://x/path", "smtp://x#there",
     "smtp://x?starttls=maybe", "smtp://x?tls=required", "smtp://x?starttls=never&starttls=never",
     "smtp://x?starttls", "smtps://x?starttls=required", "smtp://a%20b", "smtp://[::1", "smtp://ann:s3cr3t@x:y"],
)  # fmt: skip
def test_a_malformed_url_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match="mail server's") as caught:
        SmtpServer.parse(text)
    assert "s3cr3t" not in str(caught.value)


def test_a_malformed_sender_is_refused_at_construction() -> None:
    with pytest.raises(ValueError, match="is not an e-mail address"):
        SmtpMailTransport(SmtpServer.parse("smtp://localhost"), LETTERS, "inn", lambda: NOON)
