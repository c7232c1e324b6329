"""Kafka with users, passwords and TLS: events pass, and what is refused is said in one line, without the password."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from innkeeper.delivery.brokers.kafka_consumer import KafkaConsumer
from innkeeper.delivery.brokers.selection import check_url, publisher
from innkeeper.protocol.ports.subscriptions import Stalled
from innkeeper.protocol.values import limits
from innkeeper.storage.sqlite.inbox import SqliteInbox
from support.consumer_checks import RECOVERY_SECONDS_MAX, RemoteLog, log_entry, run_consumer
from support.installations import INSTALLATION, NAMES
from support.kafka_node import missing_tools
from support.required_tools import require
from support.secure_kafka_node import MECHANISMS, PASSWORD, SecureKafkaNode, secure_kafka_node

WAYS = [("PLAIN", False), ("SCRAM-SHA-256", False), *((mechanism, True) for mechanism in MECHANISMS)]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafkaNode]:
    require(not missing_tools(), "no Kafka: java or mvn is missing; on Debian: apt install default-jre-headless maven")
    with secure_kafka_node(tmp_path_factory.mktemp("secure-kafka")) as started:
        yield started


def publish(url: str, first: int) -> None:
    """Publish ten events from this one on."""

    async def run() -> None:
        broker = publisher(url, INSTALLATION)
        try:
            await broker.handle([log_entry(number) for number in range(first, first + 10)])
        finally:
            await broker.close()

    asyncio.run(run())


def refusal(url: str) -> str:
    """Why nothing can be published to this URL."""
    with pytest.raises(Stalled) as refused:
        publish(url, 1)
    return str(refused.value)


def isolated_inbox(folder: Path) -> SqliteInbox:
    origin = RemoteLog(1_000_000)
    origin.reachable = False
    return SqliteInbox(folder / "inbox.db", {"billing": origin})


def test_events_pass_with_every_mechanism_with_and_without_tls(node: SecureKafkaNode, tmp_path: Path) -> None:
    for number, (mechanism, is_encrypted) in enumerate(WAYS):
        publish(node.secure_url(mechanism=mechanism, is_encrypted=is_encrypted), 1 + 10 * number)
    with closing(isolated_inbox(tmp_path)) as inbox:
        log = inbox.logs["billing"]
        url = node.secure_url(mechanism="SCRAM-SHA-512", is_encrypted=True)
        consumer = KafkaConsumer(url, NAMES, "billing", inbox, lambda _: "billing")
        run_consumer(consumer, lambda: log.position == 10 * len(WAYS), RECOVERY_SECONDS_MAX)


def test_the_rights_that_the_documentation_names_are_enough(node: SecureKafkaNode, tmp_path: Path) -> None:
    publish(node.secure_url("documented"), 1)
    with closing(isolated_inbox(tmp_path)) as inbox:
        consumer = KafkaConsumer(node.secure_url("documented"), NAMES, "archive", inbox, lambda _: "billing")
        run_consumer(consumer, lambda: inbox.logs["billing"].position >= 10, RECOVERY_SECONDS_MAX)


def urls(node: SecureKafkaNode) -> dict[str, tuple[str, str]]:
    other_authority = node.secure_url(is_encrypted=True).partition("&cafile")[0]
    return {
        "a wrong password": (node.secure_url(password="wr0ng"), "the password of the user clerk is wrong"),
        "a wrong SCRAM password": (
            node.secure_url(password="wr0ng", mechanism="SCRAM-SHA-256"), "the password of the user clerk is wrong"
        ),
        "an unknown user": (node.secure_url("nobody"), "the password of the user nobody is wrong, or it has no"),
        "a mechanism that is not offered": (node.secure_url(mechanism="SCRAM-SHA-512"), "not offer SCRAM-SHA-512"),
        "no right": (node.secure_url("stranger"), "the user stranger lacks a right: .* on the topics"),
        "another authority": (other_authority, "TLS fails: .*certificate verify failed"),
        "no file of authorities": (other_authority + "&cafile=/nowhere.pem", "that .cafile= names cannot be read"),
        "a port without users": (f"kafka://clerk:s3cret@127.0.0.1:{node.port}", "it asks for no password at this port"),
        "an unknown host": ("kafka://clerk:s3cret@no-such-host.invalid:9", "invalid:9: the host is unknown"),
        "nobody there": ("kafka://clerk:s3cret@127.0.0.1:9", "127.0.0.1:9: .*Connect call failed"),
    }  # fmt: skip


def test_what_kafka_refuses_is_said_in_one_line_without_the_password(node: SecureKafkaNode) -> None:
    for name, (url, text) in urls(node).items():
        said = refusal(url)
        assert re.search(text, said), name
        assert "\n" not in said
        assert not {secret for secret in ("wr0ng", "s3cret", PASSWORD) if secret in said}, name


def test_no_tls_at_a_port_with_tls_and_the_reverse_are_said(
    node: SecureKafkaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "broker_seconds_max", 3)
    without, with_tls = f"127.0.0.1:{node.distant_port}", f"127.0.0.1:{node.announced_port}"
    for url in (
        node.secure_url(is_encrypted=True).replace(with_tls, without), node.secure_url().replace(without, with_tls)
    ):  # fmt: skip
        assert "is it a port with TLS" in refusal(url)


@pytest.mark.parametrize(
    ("user", "text"), [("reader", "on the groups"), ("writer", "lacks a right"), ("nobody", "wrong")]
)
def test_a_consumer_that_is_refused_says_so_and_tries_again(
    node: SecureKafkaNode, tmp_path: Path, user: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    publish(node.secure_url(), 1)  # the topic exists
    with closing(isolated_inbox(tmp_path)) as inbox:
        consumer = KafkaConsumer(node.secure_url(user), NAMES, "billing", inbox, lambda _: "billing")
        run_consumer(consumer, lambda: consumer.fault != "", RECOVERY_SECONDS_MAX)
        assert text in consumer.fault
        assert user in consumer.fault
    assert "s3cret" not in caplog.text
    assert "Traceback" not in caplog.text


HOST = "broker.example"
MISTYPED = [
    f"user:s3cret@{HOST}",
    f"//user:s3cret@{HOST}",
    f"kafka:user:s3cret@{HOST}",
    f"redis://user:s3cret@{HOST}",
    f"kafka://user:s3cret@{HOST}:port",
    f"kafka://user:/s3cret@{HOST}",
    f"kafka://user:1#s3cret@{HOST}",
    f"kafka://user:1?s3cret@{HOST}",
    f"kafka://user:s3cret@{HOST}/topic",
    f"kafka://user:s3cret@{HOST}?password=s3cret",
    f"kafka://user:s3cret@{HOST}?mechanism=s3cret",
    f"kafka://user:x@s3cret@{HOST},user:s3cret@{HOST}",
    f"amqp://user:/s3cret@{HOST}",
    f"amqp://user:1/s3cret@{HOST}",
    f"amqp://user:1#s3cret@{HOST}",
    f"amqp://user:s3cret@{HOST}:port",
    f"amqp://user:s3cret\u2100@{HOST}",
    f"amqp://[user:s3cret@{HOST}",
]


@pytest.mark.parametrize("url", MISTYPED)
def test_a_mistyped_url_is_refused_without_the_password(url: str) -> None:
    with pytest.raises(ValueError, match="URL") as refused:
        check_url(url)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
