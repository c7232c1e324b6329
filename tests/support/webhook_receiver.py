"""A receiver of webhooks: a real HTTP server on this machine that records requests and answers with a given status."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from standardwebhooks.webhooks import Webhook


class ReceivedEvent(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent in it."""
        event: dict[str, Any] = json.loads(self.body)
        return event


class WebhookReceiver:
    """It answers with `status` and `headers`, and with 422 to the events whose ids are in `rejected`, once `answering`
    is set. While `disconnecting` is set, it closes each connection instead. `accepted` has the ids of the events that
    it answered with success, in order."""

    def __init__(self, port: int = 0) -> None:
        self.received: list[ReceivedEvent] = []
        self.accepted: list[str] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.disconnecting = threading.Event()
        self.rejected: set[str] = set()
        self.answering = threading.Event()
        self.answering.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="receiver")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = ReceivedEvent(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                receiver.received.append(request)
                receiver.answering.wait()
                if receiver.disconnecting.is_set():
                    self.close_connection = True
                    return
                event = request.event["id"]
                status = 422 if event in receiver.rejected else receiver.status
                if 200 <= status < 300:
                    receiver.accepted.append(event)
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                with suppress(OSError):  # the client has not waited
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def ids(self) -> list[str]:
        """The ids of the received events, in order."""
        return [request.event["id"] for request in self.received]

    def start(self) -> None:
        """Start the server."""
        self._thread.start()

    def close(self) -> None:
        """Stop the server; nothing happens where it is stopped."""
        self.answering.set()
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def webhook_receiver(port: int = 0) -> Iterator[WebhookReceiver]:
    """A receiver that is started, on this port or on a free one."""
    receiver = WebhookReceiver(port)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.close()


def check_signature(headers: dict[str, str], body: bytes, secret: str) -> None:
    """The reference library makes the same signature; its check of the time, by the machine's clock, is left out."""
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"])).astimezone()
    signature = Webhook(secret).sign(headers["webhook-id"], at, body.decode())
    assert signature in headers["webhook-signature"].split()
