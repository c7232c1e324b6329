"""A real Kafka for tests: one node that is broker and controller (KRaft), on free loopback ports.

Its jars are fetched with Maven once, into the git-ignored folder `build`.
"""

import base64
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep

POM = Path(__file__).with_name("kafka.pom.xml")
CACHE = Path(__file__).parents[2] / "build"
PARTITIONS = 6
FETCH_SECONDS_MAX = 600
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 60
_PORTS = range(20_000, 32_000)  # below the ephemeral ports, so that a restarted node finds its ports free

_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=CLIENT://127.0.0.1:{port},DISTANT://127.0.0.1:{distant},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENT://127.0.0.1:{port},DISTANT://127.0.0.1:{announced}
inter.broker.listener.name=CLIENT
listener.security.protocol.map=CLIENT:PLAINTEXT,DISTANT:PLAINTEXT,CONTROLLER:PLAINTEXT
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
log.dirs={data}
num.partitions={partitions}
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.cleaner.dedupe.buffer.size=10485760
"""


def missing_tools() -> list[str]:
    """The programs that are needed to fetch and run Kafka, and missing on this machine."""
    return [tool for tool in ("java", "mvn") if shutil.which(tool) is None]


def fetched_jars() -> Path:
    """The folder with the jars of Kafka, fetched with Maven if it does not exist."""
    version = ElementTree.parse(POM).findtext("{*}version")
    folder = CACHE / f"kafka-{version}"
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="kafka-") as temporary:
            jars = Path(temporary) / "jars"
            command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
            done = subprocess.run(
                [*command, f"-DoutputDirectory={jars}"], capture_output=True, text=True, timeout=FETCH_SECONDS_MAX
            )
            if done.returncode:
                raise RuntimeError(f"Kafka {version} cannot be fetched with Maven: {done.stdout[-2_000:]}")
            try:
                jars.rename(folder)
            except OSError:
                if not folder.exists():  # another test run has fetched it meanwhile
                    raise
    return folder


class KafkaNode:
    """A Kafka at `url`, with six partitions for each topic that is created by its first use.

    Clients can also connect to `announced_port`, where a test listens and forwards connections to `distant_port`. The
    node announces that port to clients that connect there.
    """

    def __init__(self, folder: Path, more_settings: str = "", more_options: Sequence[str] = ()) -> None:
        """In an empty folder, for its configuration, its data and its log. `more_settings` follow its own ones, with
        the ports filled in; `more_options` are those of its formatting."""
        self._folder = folder
        self._jars = fetched_jars()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None
        self.port, self.distant_port, self.announced_port, controller = free_ports(4)
        settings = (_SETTINGS + more_settings).format(
            port=self.port,
            distant=self.distant_port,
            announced=self.announced_port,
            controller=controller,
            data=folder / "data",
            partitions=PARTITIONS,
        )
        self._settings = folder / "server.properties"
        self._settings.write_text(settings)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        subprocess.run(
            self._java(
                "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(self._settings), *more_options
            ),
            check=True, capture_output=True, timeout=START_SECONDS_MAX,
        )  # fmt: skip

    @property
    def servers(self) -> str:
        """The bootstrap servers for a client."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The URL for Innkeeper."""
        return f"kafka://{self.servers}"

    def start(self) -> None:
        """Start it with its data, and wait until it serves."""
        log = self._folder / "server.log"
        with log.open("ab") as output:
            began = output.tell()
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._settings)), stdout=output, stderr=subprocess.STDOUT
            )
        kill_when_input_ends = f"cat; kill -9 {self._process.pid}"  # also when the test run is killed
        self._watcher = subprocess.Popen(
            ["sh", "-c", kill_when_input_ends], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        until = monotonic() + START_SECONDS_MAX
        while b"Kafka Server started" not in log.read_bytes()[began:]:
            if monotonic() > until or self._process.poll() is not None:
                self.kill()
                raise RuntimeError(f"Kafka does not start: {log.read_text()[-4_000:]}")
            sleep(0.05)

    def kill(self) -> None:
        """Kill it."""
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.communicate(timeout=STOP_SECONDS_MAX)
            self._watcher = None
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS_MAX)
            self._process = None

    def stop_process(self) -> None:
        """Stop its process, so that it accepts connections and does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def continue_process(self) -> None:
        """Let its process go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def is_running(self) -> bool:
        """Whether it has been started and not killed."""
        return self._process is not None and self._process.poll() is None

    def _java(self, *arguments: str) -> list[str]:
        memory = ["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return ["java", *memory, "-cp", os.path.join(self._jars, "*"), *arguments]


def free_ports(number: int) -> list[int]:
    """Ports of the loopback interface that are free now."""
    ports: list[int] = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == number:
            return ports
    raise RuntimeError("no free ports")
