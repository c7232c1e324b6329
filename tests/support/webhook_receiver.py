"""Whoever takes webhooks: a real HTTP server on this machine that writes down what comes, and answers as it is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class ReceivedEvent(NamedTuple):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The CloudEvent in it."""
        told: dict[str, Any] = json.loads(self.body)
        return told


class WebhookReceiver:
    """`status` is what it answers; `refuses` are events that it answers with 422 whatever else comes."""

    def __init__(self) -> None:
        self.received: list[ReceivedEvent] = []
        self.status = 204
        self.rejected: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="receiver")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                taken = ReceivedEvent(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                receiver.received.append(taken)
                self.send_response(422 if taken.event["id"] in receiver.rejected else receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def ids(self) -> list[str]:
        """The events that came, in the order in which they came."""
        return [taken.event["id"] for taken in self.received]

    def start(self) -> None:
        """Take what comes."""
        self._thread.start()

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """A receiver that runs."""
    started = WebhookReceiver()
    started.start()
    try:
        yield started
    finally:
        started.close()
