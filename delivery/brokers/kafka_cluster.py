"""How a Kafka cluster is reached: its URL, the settings of its clients, its topics, and what a failure means."""

import asyncio
import logging
import re
import socket
import ssl
from typing import Any

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import create_conn
from innkeeper.delivery.brokers.consumer import reason_of
from innkeeper.delivery.brokers.urls import KafkaAddress
from innkeeper.protocol.values import limits

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the subscriber and the consumer log each failure once
logger = logging.getLogger(__name__)

_PORT = "9092"
_PROTOCOLS = {
    (False, False): "PLAINTEXT",
    (False, True): "SSL",
    (True, False): "SASL_PLAINTEXT",
    (True, True): "SASL_SSL",
}
_ENDED = "the connection was ended at once; is it a port with TLS (kafkas://), and does it ask for a user?"
_TOPIC_ATTEMPTS_MAX = 25
_METADATA_SECONDS = 1.0
_TOPIC_SECONDS = 0.2  # between two looks for a new topic


async def start(client: Any) -> None:
    """Starts a client of aiokafka. One that is cancelled while it asks for the metadata would leave a connection open,
    so that gets a moment to end by itself."""
    starting = asyncio.ensure_future(client.start())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait({starting}, timeout=_METADATA_SECONDS)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        raise


class KafkaCluster:
    """The cluster at a URL."""

    def __init__(self, url: str) -> None:
        """Raises ValueError, without a part of the URL."""
        self._address = KafkaAddress.of(url)
        self.servers = ",".join(self._address.servers)

    def settings(self) -> dict[str, Any]:
        """The settings of a client. Raises OSError where the file of authorities cannot be read."""
        return self._connection() | {"bootstrap_servers": [*self._address.servers]}

    def _connection(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "client_id": "innkeeper",
            "request_timeout_ms": round(limits.broker_seconds_max * 1_000),
            "security_protocol": _PROTOCOLS[bool(self._address.user), self._address.is_encrypted],
        }
        if self._address.is_encrypted:
            settings["ssl_context"] = ssl.create_default_context(cafile=self._address.cafile)
        if self._address.user:
            settings["sasl_mechanism"] = self._address.mechanism
            settings["sasl_plain_username"] = self._address.user
            settings["sasl_plain_password"] = self._address.password
        return settings

    async def reason(self, error: BaseException, topic: str) -> str:
        """What an error of a client of this topic means, in one line that says what to do."""
        if isinstance(error, errors.KafkaConnectionError | errors.NodeNotReadyError):
            error = await self._connection_error() or error
        if isinstance(error, errors.SaslAuthenticationFailed | errors.AuthenticationFailedError):
            user, mechanism = self._address.user, self._address.mechanism
            return f"the password of the user {user} is wrong, or it has no such user for {mechanism}: correct the URL"
        if isinstance(error, errors.UnsupportedSaslMechanismError):
            return f"it does not offer {self._address.mechanism}: name one that it offers with ?mechanism= in the URL"
        if isinstance(error, errors.IllegalSaslStateError):
            return "it asks for no password at this port: name the port with SASL, or no user in the URL"
        if isinstance(error, errors.TopicAuthorizationFailedError):
            return self._missing(f"on the topics {topic} and {topic}.dead, Describe, Read, Write and Create")
        if isinstance(error, errors.GroupAuthorizationFailedError):
            return self._missing(f"on the groups that begin with {topic.removesuffix('events')}, Read")
        if isinstance(error, errors.ClusterAuthorizationFailedError):
            return self._missing("on the cluster, IdempotentWrite")
        if isinstance(error, errors.UnknownTopicOrPartitionError):
            return (
                f"there is no topic {topic} or {topic}.dead: somebody deleted it, or the cluster makes none by itself"
                " (auto.create.topics.enable), and it is to be made with kafka-topics --create"
            )
        if isinstance(error, ssl.SSLError | ssl.CertificateError):
            return f"TLS fails: {reason_of(error)}; kafkas:// needs the port with TLS, and ?cafile= the authority"
        if isinstance(error, FileNotFoundError | PermissionError):
            return f"the file that ?cafile= names cannot be read: {error.strerror}"
        return reason_of(error)

    def _missing(self, rights: str) -> str:
        return f"the user {self._address.user or 'ANONYMOUS'} lacks a right: allow, with kafka-acls, {rights}"

    async def _connection_error(self) -> BaseException | None:
        """Why the first server cannot be connected to; aiokafka only says that none can. None where one can."""
        found: BaseException | None = None
        for server in self._address.servers:
            host, _, port = server.rpartition(":") if re.search(r":[0-9]+$", server) else (server, "", _PORT)
            try:
                async with asyncio.timeout(limits.broker_close_seconds_max):
                    connection = await create_conn(host.strip("[]"), int(port), **self._connection())
                connection.close()
                return None
            except OSError as error:
                found = found or _named(error, server)
            except errors.KafkaConnectionError:
                found = found or ConnectionError(f"{server}: {_ENDED}")
            except errors.KafkaError as error:
                found = found or error
        return found

    async def ensure_topic(self, admin: AIOKafkaAdminClient, topic: str) -> bool:
        """Returns whether there was the topic; the cluster makes one that is asked for, with its own number of
        partitions and replicas. Raises KafkaError, as where the cluster makes no topics by itself."""
        async with asyncio.timeout(limits.broker_seconds_max):
            for attempt in range(_TOPIC_ATTEMPTS_MAX):
                (found,) = await admin.describe_topics([topic])
                error = errors.for_code(found["error_code"])
                if error is errors.NoError:
                    return attempt == 0
                if error not in (errors.UnknownTopicOrPartitionError, errors.LeaderNotAvailableError):
                    raise error(topic)
                await asyncio.sleep(_TOPIC_SECONDS)
        raise error(topic)


def _named(error: OSError, server: str) -> BaseException:
    """The error, which names the server."""
    if isinstance(error, ssl.SSLError | ssl.CertificateError | FileNotFoundError | PermissionError):
        return error
    text = reason_of(error)
    if isinstance(error, socket.gaierror):
        text = f"the host is unknown ({error.strerror}): correct it in the URL, or in the name service"
    elif isinstance(error, ConnectionResetError):
        text = _ENDED
    return ConnectionError(f"{server}: {text}")
