"""Letters go to a real mail server, and what it says decides whether one letter or all of them have to wait."""

import asyncio
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.smtp import SmtpMailTransport, SmtpServer
from innkeeper.protocol.notifications.notices import Notice, NoticeKind, Recipient
from innkeeper.protocol.ports.outbox import SendFailed
from support.example_notices import NOON, confirmation_for, notice
from support.required_tools import require
from support.smtp_server import RecordingSmtpServer, smtp_server

LETTERS = Letters(None)
SENDER = "stay@inn.example"
ANN = "ann:p%40ss%20word@"


def post(url: str, *notices: Notice, **more: Any) -> None:
    """Send these, one after the other, by one courier."""

    async def work(courier: SmtpMailTransport) -> None:
        for one in notices:
            await courier(one)

    with_courier(url, work, **more)


def with_courier(url: str, work: Callable[[SmtpMailTransport], Awaitable[None]], **more: Any) -> None:
    async def run() -> None:
        limits: dict[str, Any] = {"connect_seconds_max": 30, "command_seconds_max": 30} | more
        courier = SmtpMailTransport(SmtpServer.parse(url), LETTERS, SENDER, lambda: NOON, **limits)
        try:
            await work(courier)
        finally:
            await courier.close()

    asyncio.run(run())


def refusal(url: str, one: Notice | None = None, **more: Any) -> SendFailed:
    """Why it cannot be sent."""
    with pytest.raises(SendFailed) as caught:
        post(url, one or notice(), **more)
    return caught.value


def verdict(error: SendFailed) -> str:
    return {(False, True): "away", (True, False): "for good", (False, False): "later"}[
        error.permanent, error.unreachable
    ]


@pytest.fixture
def office() -> Iterator[RecordingSmtpServer]:
    with smtp_server() as office:
        yield office


def url(office: RecordingSmtpServer, more: str = "") -> str:
    return f"smtp://127.0.0.1:{office.port}{more}"


def test_letters_arrive_whole_over_one_connection(office: RecordingSmtpServer) -> None:
    told = [notice(kind, language=language) for kind in NoticeKind for language in ("pt", "de")]
    post(url(office), *told)
    assert [letter["Subject"] for letter in office.letters] == [LETTERS.write(one).subject for one in told]
    text, page = office.letters[0].iter_parts()
    assert text.get_content().replace("\r\n", "\n") == LETTERS.write(told[0]).text  # type: ignore[union-attr]
    assert page.get_content().replace("\r\n", "\n") == LETTERS.write(told[0]).html  # type: ignore[union-attr]
    assert (office.envelopes[0].mail_from, office.envelopes[0].rcpt_tos) == (SENDER, ["ana@example.com"])
    assert len({id(session) for session in office.sessions}) == 1


def test_letters_go_at_the_same_time_over_a_few_connections(office: RecordingSmtpServer) -> None:
    office.delay_seconds = 1.0
    began = time.monotonic()

    async def work(courier: SmtpMailTransport) -> None:
        await asyncio.gather(*(courier(notice(id=str(number))) for number in range(8)))

    with_courier(url(office), work)
    assert len({letter["Message-ID"] for letter in office.letters}) == 8
    assert time.monotonic() - began < 8 * 1.0
    assert len({id(session) for session in office.sessions}) == 4


def test_a_connection_that_was_dropped_in_between_is_made_again(office: RecordingSmtpServer) -> None:
    office.disconnects_left = 2

    async def work(courier: SmtpMailTransport) -> None:
        for number in range(4):
            await courier(notice(id=str(number)))
            await asyncio.sleep(0.2)

    with_courier(url(office), work)
    assert len(office.letters) == 4
    assert len({id(session) for session in office.sessions}) == 3


def test_a_connection_that_is_no_good_any_more_is_noticed_before_a_letter_goes_over_it(
    office: RecordingSmtpServer,
) -> None:
    office.reset_replies = ["421 4.4.2 you said nothing for too long"]
    post(url(office), notice(id="1"), notice(id="2"), notice(id="3"))
    assert len(office.letters) == 3
    assert len({id(session) for session in office.sessions}) == 2


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
def test_what_the_server_answers_decides(office: RecordingSmtpServer, where: str, answer: str, expected: str) -> None:
    getattr(office, where).append(answer)

    async def work(courier: SmtpMailTransport) -> None:
        with pytest.raises(SendFailed) as caught:
            await courier(notice())
        assert verdict(caught.value) == expected
        assert answer[:3] in str(caught.value)
        assert office.letters == []
        await courier(notice(id="next"))

    with_courier(url(office), work)
    assert len(office.letters) == 1


def test_nobody_there_or_no_such_host_is_away() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"smtp://127.0.0.1:{free.getsockname()[1]}"
    assert verdict(refusal(nobody)) == "away"
    assert verdict(refusal("smtp://no-such-host.invalid:25")) == "away"


@contextmanager
def silent(greeting: bytes = b"") -> Iterator[str]:
    """A server that takes a connection, says this, and then nothing; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.sendall(greeting)
                held.append(connection)

        thread = Thread(target=accept)
        thread.start()
        try:
            yield f"smtp://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


@pytest.mark.parametrize("greeting", [b"", b"220 hello\r\n", b"554 not today\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_who_says_nothing_or_nonsense_is_away_and_soon(greeting: bytes) -> None:
    began = time.monotonic()
    with silent(greeting) as server:
        assert verdict(refusal(server, connect_seconds_max=0.3, command_seconds_max=0.3)) == "away"
    assert time.monotonic() - began < 20


def test_who_is_too_slow_is_away_and_the_connection_is_not_used_again(office: RecordingSmtpServer) -> None:
    office.delay_seconds = 1.0

    async def work(courier: SmtpMailTransport) -> None:
        with pytest.raises(SendFailed) as caught:
            await courier(notice())
        assert verdict(caught.value) == "away"
        office.delay_seconds = 0
        await courier(notice(id="next"))

    with_courier(url(office), work, command_seconds_max=0.3)
    assert [letter["Message-ID"] for letter in office.letters] == [office.letters[0]["Message-ID"]]


def test_a_letter_that_is_given_up_halfway_leaves_no_half_used_connection(office: RecordingSmtpServer) -> None:
    office.delay_seconds = 0.5

    async def work(courier: SmtpMailTransport) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(courier(notice()), 0.2)
        office.delay_seconds = 0
        await courier(notice(id="next"))

    with_courier(url(office), work)
    assert len(office.letters) == 1


def test_a_name_cannot_add_a_recipient(office: RecordingSmtpServer) -> None:
    post(url(office), confirmation_for("Ann\r\nRCPT TO:<bo@example.com>\r\nBcc: bo@example.com"))
    assert office.envelopes[0].rcpt_tos == ["ana@example.com"]
    assert office.letters[0]["Bcc"] is None


@pytest.mark.parametrize("email", ["ann@x.com> SIZE=1", "ann@x.com\r\nDATA", "bo", "ann@"])
def test_an_address_that_is_none_never_reaches_the_server(office: RecordingSmtpServer, email: str) -> None:
    assert verdict(refusal(url(office), notice(recipient=Recipient("Ann", email)))) == "for good"
    assert office.sessions == []


def test_an_address_in_other_letters_goes_only_where_it_can() -> None:
    told = notice(recipient=Recipient("Jörg", "jörg@example.com"))
    with smtp_server(enable_SMTPUTF8=True) as office:
        post(url(office), told)
        assert office.envelopes[0].rcpt_tos == ["jörg@example.com"]
    with smtp_server(enable_SMTPUTF8=False) as office:
        assert verdict(refusal(url(office), told)) == "for good"
        post(url(office), notice(recipient=Recipient("Jörg", "jorg@exämple.com")))
        assert office.envelopes[0].rcpt_tos == ["jorg@xn--exmple-cua.com"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A certificate for 127.0.0.1, for the server and for who trusts it."""
    openssl = shutil.which("openssl")
    require(openssl is not None, "no openssl on this machine")
    folder: Path = tmp_path_factory.mktemp("certificate")
    key, cert = str(folder / "key.pem"), str(folder / "cert.pem")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=cert)


Certificate = tuple[ssl.SSLContext, ssl.SSLContext]


def test_starttls_is_used_where_it_is_offered_and_can_be_asked_for(certificate: Certificate) -> None:
    server, trust = certificate
    with smtp_server(server) as office:
        post(url(office), notice())
        post(url(office, "?starttls=required"), notice(), trust=trust)
        post(url(office, "?starttls=never"), notice())
        assert office.encrypted == [True, True, False]


def test_a_certificate_that_nobody_vouches_for_is_not_believed(certificate: Certificate) -> None:
    with smtp_server(certificate[0]) as office:
        error = refusal(url(office, "?starttls=required"))
        assert verdict(error) == "away"
        assert "certificate" in str(error).lower()
        assert office.letters == []


def test_where_starttls_is_asked_for_and_not_there_nothing_is_sent(office: RecordingSmtpServer) -> None:
    assert verdict(refusal(url(office, "?starttls=required"))) == "away"
    assert office.letters == []


def test_tls_from_the_first_byte(certificate: Certificate) -> None:
    server, trust = certificate
    with smtp_server(server, implicit=True) as office:
        post(f"smtps://127.0.0.1:{office.port}", notice(), trust=trust)
        assert office.encrypted == [True]
        assert verdict(refusal(f"smtps://127.0.0.1:{office.port}")) == "away"
        assert verdict(refusal(url(office), connect_seconds_max=1)) == "away"


def test_a_password_lets_in_and_a_wrong_one_closes_the_way(certificate: Certificate) -> None:
    server, trust = certificate
    with smtp_server(server, auth_required=True) as office:
        post(f"smtp://{ANN}127.0.0.1:{office.port}?starttls=required", notice(), trust=trust)
        assert len(office.letters) == 1
        wrong = refusal(f"smtp://ann:s3cr3t@127.0.0.1:{office.port}?starttls=required", trust=trust)
        assert verdict(wrong) == "away"
        assert "s3cr3t" not in str(wrong)
        assert verdict(refusal(url(office, "?starttls=never"))) == "away"


def test_a_password_to_a_server_that_asks_for_none_is_away(office: RecordingSmtpServer) -> None:
    assert verdict(refusal(f"smtp://{ANN}127.0.0.1:{office.port}")) == "away"


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
def test_a_url_says_how_to_reach_the_server(text: str, expected: tuple[Any, ...]) -> None:
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
def test_a_url_that_says_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="mail server's") as caught:
        SmtpServer.parse(text)
    assert "s3cr3t" not in str(caught.value)


def test_a_sender_that_is_no_address_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="is not an e-mail address"):
        SmtpMailTransport(SmtpServer.parse("smtp://localhost"), LETTERS, "inn", lambda: NOON)
