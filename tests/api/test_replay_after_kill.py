"""A kept reply outlives the process, and its secret is not readable on disk."""

import json
from pathlib import Path
from typing import Any

from support.gateway import HttpResponse, send
from support.server_process import ServerProcess
from support.webhook_receiver import webhook_receiver


def post(server: ServerProcess, path: str, key: str, body: Any = None) -> HttpResponse:
    port = int(server.url.rpartition(":")[2])
    return send(port, "POST", path, body, {"Idempotency-Key": key})


def test_a_reply_is_replayed_after_kill_9_and_its_secret_is_sealed_on_disk(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data")
    try:
        with webhook_receiver() as receiver:
            body = {"url": receiver.url, "events": ["innkeeper.*"]}
            added = post(server, "/v1/webhooks", "add", body)
            path = f"{added.headers['location']}/actions/rotate-secret"
            rotated = post(server, path, "rotate")
            server.kill()
            server.start_again()
            for first, again in (
                (added, post(server, "/v1/webhooks", "add", body)),
                (rotated, post(server, path, "rotate")),
            ):
                assert (again.body, again.headers["idempotent-replayed"]) == (first.body, "true")
            post(server, path.replace("rotate-secret", "ping"), "ping")
            assert len(receiver.received[-1].headers["webhook-signature"].split()) == 2
    finally:
        server.close()
    secrets = [json.loads(reply.body)["secret"].encode() for reply in (added, rotated)]
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert len({*secrets}) == 2
    assert not [path for path in files for secret in secrets if secret in path.read_bytes()]
    assert (tmp_path / "data" / "delivery.key").stat().st_mode & 0o777 == 0o600
