"""A Kafka that asks for a user and a password, with and without TLS, and gives each user only some rights."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from support.kafka_node import KafkaNode

PASSWORD = "s3cret p@ss/w:rd"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_USERS = ("clerk", "stranger", "reader", "writer", "documented")
_SETTINGS = """
listeners=CLIENT://127.0.0.1:{port},SASL://127.0.0.1:{distant},TLS://127.0.0.1:{announced},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{port},SASL://127.0.0.1:{distant},TLS://127.0.0.1:{announced}
listener.security.protocol.map=CLIENT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SASL_SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
listener.name.tls.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
ssl.keystore.type=PEM
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


class SecureKafkaNode(KafkaNode):
    """`clerk` may do everything with the topics and groups of Innkeeper, `writer` only publish, `reader` only read the
    topics, `stranger` nothing, and `documented` has the rights in docs/deploy.md. Their password is PASSWORD."""

    def __init__(self, folder: Path) -> None:
        self.cafile = folder / "authority.pem"
        keystore = _keystore(folder, self.cafile)
        users = " ".join(f'user_{user}="{PASSWORD}"' for user in _USERS)
        logins = [
            f"listener.name.{listener}.{mechanism.lower()}.sasl.jaas.config={module} required{more};"
            for listener in ("sasl", "tls")
            for mechanism in MECHANISMS
            for module, more in [
                ("org.apache.kafka.common.security.plain.PlainLoginModule", f" {users}")
                if mechanism == "PLAIN"
                else ("org.apache.kafka.common.security.scram.ScramLoginModule", "")
            ]
        ]
        settings = "\n".join((_SETTINGS, f"ssl.keystore.location={keystore}", *logins, ""))
        options = [
            option
            for mechanism in MECHANISMS[1:]
            for option in ("--add-scram", f'{mechanism}=[name=clerk,password="{PASSWORD}"]')
        ]
        super().__init__(folder, settings, options)

    def secure_url(
        self, user: str = "clerk", password: str = PASSWORD, mechanism: str = "PLAIN", is_encrypted: bool = False
    ) -> str:
        """The URL of a user."""
        scheme, port = ("kafkas", self.announced_port) if is_encrypted else ("kafka", self.distant_port)
        authority = f"&cafile={quote(str(self.cafile), safe='')}" if is_encrypted else ""
        return (
            f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{port}"
            f"?mechanism={mechanism}{authority}"
        )

    def give_rights(self) -> None:
        """Give the users their rights."""
        everything, read, write = AclOperation.ALL, AclOperation.READ, AclOperation.WRITE
        rights = [
            ("clerk", ResourceType.TOPIC, everything),
            ("clerk", ResourceType.GROUP, everything),
            ("reader", ResourceType.TOPIC, read),
            ("writer", ResourceType.TOPIC, write),
            ("writer", ResourceType.TOPIC, AclOperation.CREATE),
            *(("documented", ResourceType.TOPIC, operation) for operation in (read, write, AclOperation.CREATE)),
            ("documented", ResourceType.GROUP, read),
        ]
        bindings = [
            AclBinding(
                kind, "innkeeper.", ResourcePatternType.PREFIXED, f"User:{user}", "*", operation,
                AclPermissionType.ALLOW,
            )
            for user, kind, operation in rights
        ]  # fmt: skip
        admin = AdminClient({"bootstrap.servers": self.servers})
        for given in admin.create_acls(bindings).values():
            given.result(60)


def _keystore(folder: Path, certificate: Path) -> Path:
    """A private key and a certificate for 127.0.0.1, which is its own authority."""
    key, both = folder / "key.pem", folder / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_text(key.read_text() + certificate.read_text())
    return both


@contextmanager
def secure_kafka_node(folder: Path) -> Iterator[SecureKafkaNode]:
    """Such a Kafka in an empty folder, which ends with the block."""
    node = SecureKafkaNode(folder)
    node.start()
    try:
        node.give_rights()
        yield node
    finally:
        node.kill()
