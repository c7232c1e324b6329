"""A RabbitMQ of a test's own, which may be stopped, has users without some rights, and takes only small messages."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from support.kafka_node import free_ports
from support.waiting import wait_until

_PROGRAMS = Path("/usr/lib/rabbitmq/lib")
MESSAGE_BYTES_MAX = 256 * 1_024
PASSWORD = "s3cret p@ss/w:rd"
_START_SECONDS_MAX = 120
_ALL = ".*"
_NOTHING = "^$"
_OURS = "^innkeeper[.]"  # as docs/deploy.md says
_RIGHTS = {
    "guest": (_ALL, _ALL, _ALL),
    "no-configure": (_NOTHING, _ALL, _ALL),
    "no-write": (_ALL, _NOTHING, _ALL),
    "no-read": (_ALL, _ALL, _NOTHING),
    "only-north": (_ALL, _ALL, _ALL),
    "clerk": (_OURS, _OURS, _OURS),
}


def server_program() -> Path | None:
    """The program that starts a RabbitMQ; None where there is none."""
    return next(iter(sorted(_PROGRAMS.glob("rabbitmq_server-*/sbin/rabbitmq-server"), reverse=True)), None)


class RabbitNode:
    """A RabbitMQ on loopback ports. `only-north` may publish only about the hotel `north`; the user `no-vhost` may use
    no vhost. The password of all is PASSWORD, percent-encoded in the URLs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port, distribution = free_ports(2)
        definitions = folder / "definitions.json"
        definitions.write_text(json.dumps(_definitions()))
        configuration = folder / "rabbitmq.conf"
        configuration.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"max_message_size = {MESSAGE_BYTES_MAX}\n"
            f"load_definitions = {definitions}\n"
        )
        self._environment = os.environ | {
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"test-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def url(self, user: str = "guest", password: str = PASSWORD, vhost: str = "") -> str:
        """The URL of a user."""
        return f"amqp://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{self.port}/{quote(vhost, safe='')}"

    def start(self) -> None:
        """Start it, and wait until it serves."""
        program = server_program()
        assert program is not None
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [program], env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        wait_until(lambda: b"Starting broker... completed" in log.read_bytes(), _START_SECONDS_MAX)

    def stop_process(self) -> None:
        """Stop all its processes, so that it accepts connections and does not answer."""
        os.killpg(self._process.pid, signal.SIGSTOP)

    def continue_process(self) -> None:
        """Let its processes go on."""
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _definitions() -> dict[str, Any]:
    permissions = [
        {"user": user, "vhost": "/", "configure": configure, "write": write, "read": read}
        for user, (configure, write, read) in _RIGHTS.items()
    ]
    limited = {
        "user": "only-north",
        "vhost": "/",
        "exchange": "innkeeper.events",
        "write": "^north[.]",
        "read": _ALL,
    }
    return {
        "vhosts": [{"name": "/"}],
        "users": [{"name": name, "password": PASSWORD, "tags": ""} for name in (*_RIGHTS, "no-vhost")],
        "permissions": permissions,
        "topic_permissions": [limited],
    }


@contextmanager
def rabbitmq_node(folder: Path) -> Iterator[RabbitNode]:
    """A RabbitMQ in an empty folder, which ends with the block."""
    node = RabbitNode(folder)
    node.start()
    try:
        yield node
    finally:
        node.kill()
