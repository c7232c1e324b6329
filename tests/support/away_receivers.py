"""Receivers of webhooks that are away at once, each in another way, and then back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

from support.webhook_receiver import WebhookReceiver, webhook_receiver


def answer(status: int, **headers: str) -> Callable[[WebhookReceiver], None]:
    """A way to be away: answer with this status and headers."""

    def begin(receiver: WebhookReceiver) -> None:
        receiver.status, receiver.headers = status, headers

    return begin


WAYS_TO_BE_AWAY: dict[str, Callable[[WebhookReceiver], None]] = {
    "refuses connections": WebhookReceiver.close,
    "hangs": lambda receiver: receiver.answering.clear(),
    "closes connections": lambda receiver: receiver.disconnecting.set(),
    "answers 301": answer(301, Location="http://127.0.0.1:9/"),
    "answers 401": answer(401),
    "answers 404": answer(404),
    "answers 429": answer(429, **{"Retry-After": "1"}),
    "answers 500": answer(500),
    "answers 503": answer(503, **{"Retry-After": "2"}),
}


class AwayReceivers:
    """Receivers that are all there, then away, each in its own way, and then back."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        self.receivers = {way: self._opened.enter_context(webhook_receiver()) for way in WAYS_TO_BE_AWAY}
        self._before: dict[str, list[str]] = {}

    def begin(self) -> None:
        """All go away."""
        for way, receiver in self.receivers.items():
            WAYS_TO_BE_AWAY[way](receiver)

    def end(self) -> None:
        """All are back."""
        for way, receiver in self.receivers.items():
            if way == "refuses connections":
                self._before[way] = receiver.accepted
                self.receivers[way] = self._opened.enter_context(webhook_receiver(receiver.port))
            receiver.status, receiver.headers = 204, {}
            receiver.disconnecting.clear()
            receiver.answering.set()

    def accepted(self, way: str) -> list[str]:
        """The ids of the events that a receiver has accepted, in order, each once: it knows them by their ids."""
        return [*dict.fromkeys([*self._before.get(way, ()), *self.receivers[way].accepted])]

    def close(self) -> None:
        """Stop all."""
        self._opened.close()


@contextmanager
def away_receivers() -> Iterator[AwayReceivers]:
    """Receivers that can be away in all ways, and are all there."""
    with closing(AwayReceivers()) as opened:
        yield opened


def back_seconds_max(away_seconds: float) -> float:
    """How long it takes at most until receivers that were away for so long have everything: the last pause, and all
    that waits."""
    return 300 + min(3 * away_seconds, 900)
