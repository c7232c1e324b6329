"""A connection to RabbitMQ, and what its failures mean."""

import asyncio
import logging
import socket
import ssl
from contextlib import suppress
from urllib.parse import unquote

import aiormq
from aio_pika.connection import Connection
from aio_pika.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelInvalidStateError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ProbableAuthenticationError,
)
from aiormq.exceptions import ChannelAccessRefused, ConnectionNotAllowed, InvalidFrameError
from innkeeper.delivery.brokers.consumer import reason_of
from innkeeper.delivery.brokers.urls import split_url
from innkeeper.protocol.delivery.broker_names import BrokerNames
from innkeeper.protocol.values import limits
from yarl import URL

LOST = (AMQPError, OSError, TimeoutError, RuntimeError, StopAsyncIteration)
"""The errors of the client where a connection fails."""
aiormq.Connection.FRAME_BUFFER_SIZE = limits.subscriber_batch_events_max  # a batch is sent without a pause
logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # the subscriber logs the reason of a stall once

_UNKNOWN_HOST = (socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_AGAIN)


def connection_to(url: str) -> Connection:
    """Makes a connection, which is not open yet."""
    return Connection(URL(url), client_properties={"connection_name": "innkeeper"})


async def close(connection: Connection) -> None:
    """Closes a connection, whatever its state."""
    with suppress(Exception):
        async with asyncio.timeout(1):  # a dead broker does not answer
            await connection.close()
    with suppress(Exception):
        await connection.close()  # the second call only marks it as closed, so that its garbage collection need not


def reason(error: BaseException, url: str, names: BrokerNames) -> str:
    """What an error of the client means, in one line that says what to do, without the password."""
    parts = split_url(url)
    user, vhost, host = unquote(parts.username or "guest"), unquote(parts.path[1:]) or "/", parts.hostname
    if isinstance(error, ProbableAuthenticationError | AuthenticationError):
        return f"the password of the user {user} is wrong, or there is no such user; see rabbitmqctl change_password"
    if isinstance(error, ConnectionNotAllowed) or (
        isinstance(error, InvalidFrameError) and "Connection.Close" in str(error)  # all that the client says of it
    ):
        return (
            f"there is no vhost {vhost}, or the user {user} has no rights in it; see rabbitmqctl add_vhost and"
            " set_permissions, and percent-encode the vhost in the URL (%2F for /)"
        )
    if isinstance(error, ChannelAccessRefused):
        rights = " ".join([f"'^{names.installation.name}[.]'"] * 3)
        return f"a right is missing: {reason_of(error)}; rabbitmqctl set_permissions -p {vhost} {user} {rights}"
    if isinstance(error, ChannelNotFoundEntity):
        return f"something was deleted, and is declared anew: {reason_of(error)}"
    if isinstance(error, ChannelPreconditionFailed):
        return f"{reason_of(error)}; delete what was declared otherwise, and it is declared anew"
    if isinstance(error, ChannelInvalidStateError) or type(error) in (RuntimeError, StopAsyncIteration):
        return "the connection was lost"
    if isinstance(error, FileNotFoundError | PermissionError):
        return f"a file that the URL names cannot be read: {error.strerror}"
    if isinstance(error, OSError) and error.errno in _UNKNOWN_HOST:
        return f"the host {host} is unknown ({error.strerror}): correct it in the URL, or in the name service"
    if isinstance(error, ssl.SSLError) or "[SSL" in str(error):
        return f"TLS fails: {reason_of(error)}; amqps:// needs the port with TLS (5671), and ?cafile= the authority"
    return reason_of(error)
