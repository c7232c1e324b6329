"""Letters are sent in batches on one connection: what happens to one does not happen to its neighbours."""

import asyncio
import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.smtp import SmtpMailTransport, SmtpServer
from innkeeper.protocol.notifications.notices import Recipient
from innkeeper.protocol.ports.outbox import SendFailed
from support.example_notices import NOON, notice
from support.mail_delivery import SENDER, deliver, failure, letters, send, settled, url, verdict, with_transport
from support.smtp_server import RecordingSmtpServer, smtp_server


@pytest.fixture(params=[False, True], ids=["one command at a time", "pipelining"])
def server(request: pytest.FixtureRequest) -> Iterator[RecordingSmtpServer]:
    with smtp_server(pipelines=request.param) as server:
        yield server


def test_a_refused_letter_of_a_batch_leaves_its_neighbours_alone(server: RecordingSmtpServer) -> None:
    server.sender_replies = ["250 OK"] * 6 + ["451 4.3.0 try later"]
    server.recipient_replies = ["250 OK", "550 5.1.1 no such mailbox", "250 OK", "450 4.2.0 busy"]
    server.letter_replies = ["250 OK", "554 5.6.0 looks like spam"]

    async def work(transport: SmtpMailTransport) -> None:
        invalid = notice(id="invalid", recipient=Recipient("Ann", "nobody"))
        found = await settled(transport, *letters(5), invalid, *letters(9)[5:])
        verdicts = {id_: verdict(error) for id_, error in found.items() if isinstance(error, SendFailed)}
        assert verdicts == {"1": "for good", "2": "for good", "3": "later", "invalid": "for good", "6": "later"}
        assert {id_ for id_, error in found.items() if error is None} == {"0", "4", "5", "7", "8"}

    with_transport(url(server), work)
    assert [envelope.rcpt_tos for envelope in server.envelopes] == [[f"ann-{n}@example.com"] for n in (0, 4, 5, 7, 8)]
    assert [str(letter["To"].addresses[0].addr_spec) for letter in server.letters] == [
        envelope.rcpt_tos[0] for envelope in server.envelopes
    ]
    assert len({id(session) for session in server.sessions}) == 1


def test_a_connection_that_breaks_within_a_batch_repeats_only_the_letter_without_a_reply(
    server: RecordingSmtpServer,
) -> None:
    server.breaks_after = [2]

    async def work(transport: SmtpMailTransport) -> None:
        found = await settled(transport, *letters(6))
        assert [id_ for id_, error in found.items() if error is None] == ["0", "1"]
        assert verdict(found["2"]) == "away"  # type: ignore[arg-type]
        assert found.keys() == {"0", "1", "2"}
        await deliver(transport, *letters(6)[2:])

    with_transport(url(server), work)
    sent = [letter["Message-ID"] for letter in server.letters]
    assert [sent.count(id_) for id_ in dict.fromkeys(sent)] == [1, 1, 2, 1, 1, 1]


def test_a_batch_is_over_once_the_server_is_unreachable(server: RecordingSmtpServer) -> None:
    server.letter_replies = ["250 OK", "421 4.3.2 closing down"]

    async def work(transport: SmtpMailTransport) -> None:
        taken = iter(letters(20))
        found: dict[str, Exception | None] = {}
        await transport(taken, lambda notice, error: found.update({notice.id: error}))
        assert (found["0"], verdict(found["1"])) == (None, "away")  # type: ignore[arg-type]
        assert len([*taken]) >= 16, "nobody takes what cannot be sent"

    with_transport(url(server), work)
    assert len(server.letters) == 1


def test_the_reason_of_a_failure_does_not_contain_the_address(server: RecordingSmtpServer) -> None:
    server.recipient_replies = ["550 5.1.1 <ANA@example.com>: no such mailbox"]
    error = failure(url(server))
    assert "no such mailbox" in str(error)
    assert "ana@" not in str(error).lower()
    assert "nobody" not in str(failure(url(server), notice(recipient=Recipient("Ann", "nobody@"))))


@contextmanager
def raw_server(answer: Callable[[bytes], bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """The URL of a server that greets, offers pipelining and then answers what it receives; and what that was."""
    received = list[bytes]()

    class Server(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"220 hello\r\n")
            self.request.recv(65_536)
            self.request.sendall(b"250-hello\r\n250 PIPELINING\r\n")
            while data := self.request.recv(65_536):
                while not data.endswith((b"DATA\r\n", b"\r\n.\r\n", b"RSET\r\n", b"QUIT\r\n")) and data != b".\r\n":
                    data += self.request.recv(65_536)
                received.append(data)
                self.request.sendall(answer(data))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Server) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"smtp://127.0.0.1:{server.server_address[1]}", received
        finally:
            server.shutdown()
            thread.join()


OK, GO_ON = b"250 OK\r\n", b"354 go on\r\n"


def test_the_text_of_a_letter_goes_out_with_the_envelope_of_the_next() -> None:
    pending = iter([OK + OK + GO_ON, OK + OK + OK + GO_ON, OK, b"221 bye\r\n"])
    with raw_server(lambda _: next(pending)) as (address, received):
        send(address, *letters(2))
    assert [data.count(b"Subject: ") for data in received] == [0, 1, 1, 0]
    assert received[0] == b"MAIL FROM:<stay@inn.example>\r\nRCPT TO:<ann-0@example.com>\r\nDATA\r\n"
    assert received[1].endswith(b"\r\n.\r\nMAIL FROM:<stay@inn.example>\r\nRCPT TO:<ann-1@example.com>\r\nDATA\r\n")
    assert received[2].endswith(b"--\r\n.\r\n")


def test_an_empty_text_never_goes_to_a_recipient_that_the_server_accepted() -> None:
    with raw_server(lambda _: b"550 not your address\r\n" + OK + GO_ON) as (address, received):
        assert verdict(failure(address)) == "away"
    assert [data[:4] for data in received] == [b"MAIL"]


def test_a_server_that_wants_a_text_without_a_recipient_gets_none() -> None:
    refused, closed = b"550 no such mailbox\r\n", b"554 no recipients\r\n"
    pending = iter([OK + refused + GO_ON, closed, OK, b"221 bye\r\n"])
    with raw_server(lambda _: next(pending)) as (address, received):
        assert verdict(failure(address)) == "for good"
    assert received[1:3] == [b".\r\n", b"RSET\r\n"]


@pytest.mark.parametrize(
    "reply",
    [
        b"nonsense\r\n",
        b"250",
        b"250 OK\r\n" * 9,
        b"250-" + b"x" * 40_000,
        b"250-x\r\n" * 9_000,
        b"\xff\r\n",
        b"999 x\r\n",
    ],
)
def test_replies_that_make_no_sense_send_nothing(reply: bytes) -> None:
    with raw_server(lambda _: reply) as (address, received):
        assert verdict(failure(address, command_seconds_max=0.5)) in ("away", "later")
    assert b"Subject" not in b"".join(received)


def test_a_reply_that_nobody_asked_for_closes_the_connection_and_is_taken_for_no_other() -> None:
    pending = iter([OK + OK + GO_ON, OK + b"421 idle for too long\r\n", OK + OK + GO_ON, OK, b"221 bye\r\n"])
    with raw_server(lambda _: next(pending)) as (address, received):

        async def work(transport: SmtpMailTransport) -> None:
            await deliver(transport, *letters(1))
            await asyncio.sleep(0.1)
            await deliver(transport, notice())

        with_transport(address, work)
    assert [data[:4] for data in received] == [b"MAIL", b"From", b"MAIL", b"From", b"QUIT"]


def test_lines_that_begin_with_a_dot_arrive(server: RecordingSmtpServer, tmp_path: Path) -> None:
    own = tmp_path / "seaside/en/confirmation.txt"
    own.parent.mkdir(parents=True)
    own.write_text(
        "{% extends layout %}{% block subject %}x{% endblock %}{% block closing %}.{% endblock %}"
        "{% block opening %}.hidden\n\n..\n\n.{% endblock %}"
    )

    async def run() -> None:
        transport = SmtpMailTransport(SmtpServer.parse(url(server)), Letters(tmp_path), SENDER, lambda: NOON)
        await deliver(transport, notice())
        await transport.close()

    asyncio.run(run())
    text = server.letters[0].get_body(("plain",))
    assert text is not None
    assert "\n.hidden\n\n..\n\n.\n" in text.get_content().replace("\r\n", "\n")
