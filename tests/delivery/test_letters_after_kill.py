"""A process that is killed while it sends letters loses none, and repeats at most a batch of them, under their ids."""

import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from innkeeper.protocol.notifications.notices import Recipient
from innkeeper.protocol.ports.outbox import OutboxChanges
from innkeeper.protocol.values.limits import letters_per_batch_max
from innkeeper.storage.sqlite.service_store import SqliteNotificationStore
from support.example_notices import notice
from support.smtp_server import RecordingSmtpServer, smtp_server

LETTERS = 250
KILLED_AFTER = (20, 70, 100)  # letters, of each process
SENDER = """
import asyncio, sys
from contextlib import closing
from pathlib import Path
from innkeeper.actors.notifications.outbox_relay import OutboxRelay
from innkeeper.delivery.email.letters import Letters
from innkeeper.delivery.email.smtp import SmtpMailTransport, SmtpServer
from innkeeper.storage.sqlite.service_store import SqliteNotificationStore

async def report_nothing(_):
    pass

async def send(path, port):
    transport = SmtpMailTransport(SmtpServer.parse(f"smtp://127.0.0.1:{port}"), Letters(None), "a@x.example", lambda: 1)
    with closing(SqliteNotificationStore(path, "mail")) as store:
        relay = OutboxRelay("mail", store.outbox, transport, store.sync, report_nothing, lambda _: 1, lambda: 1)
        while await relay.step():
            pass
    await transport.close()

asyncio.run(send(Path(sys.argv[1]), sys.argv[2]))
"""


def run(path: Path, server: RecordingSmtpServer, killed_after: int | None = None) -> None:
    """Send what is in the outbox in a process, which is killed once the server has so many more letters."""
    before = len(server.letters)
    with subprocess.Popen([sys.executable, "-c", SENDER, str(path), str(server.port)]) as process:
        while killed_after is not None and len(server.letters) < before + killed_after:
            assert process.poll() is None
            time.sleep(0.002)
        if killed_after is not None:
            process.send_signal(signal.SIGKILL)
        assert process.wait(120) == (0 if killed_after is None else -signal.SIGKILL)


def test_a_killed_process_repeats_at_most_a_batch_under_the_same_ids(tmp_path: Path) -> None:
    path = tmp_path / "notifications.db"
    notices = [notice(id=f"{n}", recipient=Recipient("Ann", f"ann-{n}@example.com")) for n in range(LETTERS)]
    with closing(SqliteNotificationStore(path, "mail")) as store:
        store.outbox.store(OutboxChanges(notices=notices))
    with smtp_server(pipelines=True) as server:
        for killed_after in KILLED_AFTER:
            run(path, server, killed_after)
        run(path, server)
    sent = Counter(str(letter["Message-ID"]) for letter in server.letters)
    assert len(sent) == LETTERS
    assert len({letter["To"] for letter in server.letters}) == LETTERS
    assert sent.total() - LETTERS <= letters_per_batch_max * len(KILLED_AFTER)
    with closing(SqliteNotificationStore(path, "mail")) as store:
        assert store.outbox.count(1) == (0, 0)
