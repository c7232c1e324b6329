"""A port can be reserved again at once after another server has used it, and not while one listens."""

import socket

import pytest
from innkeeper.http.serving import PortInUse, free_port, reserved


def port_with_closed_connections() -> int:
    """A port on which a server has just closed a connection: it is in TIME_WAIT for a minute."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as every server of ours does
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as client:
            accepted, _ = listening.accept()
            accepted.close()  # the side that closes first keeps the port
            assert client.recv(1) == b""
        port: int = listening.getsockname()[1]
        return port


def test_a_port_is_free_although_connections_to_it_were_closed_just_now() -> None:
    port = port_with_closed_connections()
    with free_port("127.0.0.1", port) as kept:
        assert kept == port
        for _ in range(2):  # each gateway
            with reserved("127.0.0.1", port, shared=True) as sockets:
                sockets[0].listen()


def test_a_port_on_which_another_server_listens_is_refused() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with pytest.raises(PortInUse), free_port("127.0.0.1", listening.getsockname()[1]):
            pass
