"""Metrics in Prometheus's text format: the number, outcome and duration of requests, and the state of the partition.

Counting a request costs two look-ups and two additions; everything else is computed when metrics are requested."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress

from aiohttp import web
from innkeeper.http.live_stream import LiveStream
from innkeeper.protocol.messages.refusals import Refused
from innkeeper.protocol.ports.message_bus import MessageBus, Services
from innkeeper.protocol.ports.subscriptions import ListSubscribers, SubscribersReply, SubscriberState
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

_BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestTally:
    """Requests of one method, route and status: their number up to each bound, and their total duration in seconds."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS_SECONDS) + 1)
        self.seconds = 0.0

    def buckets(self) -> list[tuple[str, float]]:
        """The cumulative numbers of requests up to each bound, as Prometheus expects them."""
        cumulative, total = [], 0
        for bound, count in zip((*map(str, _BOUNDS_SECONDS), "+Inf"), self.counts, strict=True):
            total += count
            cumulative.append((bound, float(total)))
        return cumulative


class Metrics(Collector):
    """Collects the metrics of this process. `silent_parts` names the parts that do not run or do not answer."""

    def __init__(
        self, bus: MessageBus, stream: LiveStream, services: Services, silent_parts: Callable[[], list[str]]
    ) -> None:
        self._silent_parts = silent_parts
        self._bus = bus
        self._stream = stream
        self._services = services
        self._subscribers: tuple[SubscriberState, ...] = ()
        self._ready = False
        self._clock_in_doubt = False
        self._tallies: dict[tuple[str, str, int], RequestTally] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def count(self, request: web.Request, status: int, seconds: float) -> None:
        """Counts a request that was answered."""
        resource = request.match_info.route.resource
        kind = request.method, resource.canonical if resource is not None else "none", status
        tally = self._tallies.get(kind) or self._tallies.setdefault(kind, RequestTally())
        tally.counts[bisect_left(_BOUNDS_SECONDS, seconds)] += 1
        tally.seconds += seconds

    async def render(self) -> bytes:
        """All metrics in Prometheus's text format, without those of services that do not answer."""
        self._subscribers = ()
        self._ready = not await self._bus.fault()
        self._clock_in_doubt = bool(await self._bus.clock_doubt())
        with suppress(Refused):
            reply = await self._services.ask(ListSubscribers())
            assert isinstance(reply, SubscribersReply)
            self._subscribers = reply.subscribers
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        """See `prometheus_client`."""
        requests = HistogramMetricFamily(
            "innkeeper_http_request_seconds", "Time to answer a request", labels=("method", "route", "status")
        )
        for (method, route, status), tally in self._tallies.items():
            requests.add_metric((method, route, str(status)), tally.buckets(), tally.seconds)
        yield requests
        events = CounterMetricFamily("innkeeper_events", "Events in each log", labels=("log",))
        for log, position in self._stream.ends.items():
            if position >= 0:
                events.add_metric((log,), position)
        yield events
        yield GaugeMetricFamily("innkeeper_commands_waiting", "Commands without a result yet", self._bus.waiting)
        yield GaugeMetricFamily("innkeeper_listeners", "Listeners of the live stream", self._stream.listeners)
        silent = GaugeMetricFamily("innkeeper_part_silent", "A part that does not run or answer (1)", labels=("part",))
        for part in self._silent_parts():
            silent.add_metric((part,), 1)
        yield silent
        yield GaugeMetricFamily("innkeeper_ready", "Whether the partition accepts commands (1 or 0)", self._ready)
        yield GaugeMetricFamily(
            "innkeeper_clock_in_doubt",
            "Whether night audits wait because the clock jumped (1 or 0)",
            self._clock_in_doubt,
        )
        labels = ("subscriber",)
        lag = GaugeMetricFamily("innkeeper_subscriber_lag_events", "Events not handled yet", labels=labels)
        age = GaugeMetricFamily(
            "innkeeper_subscriber_lag_age_seconds", "How long ago the ends of its logs were known", labels=labels
        )
        parked = GaugeMetricFamily(
            "innkeeper_subscriber_parked_hotels", "Hotels that wait behind a dead letter", labels=labels
        )
        stalled = GaugeMetricFamily(
            "innkeeper_subscriber_stalled", "Whether it can handle no event now (1 or 0)", labels=labels
        )
        paused = GaugeMetricFamily("innkeeper_subscriber_paused", "Whether it is paused (1 or 0)", labels=labels)
        for subscriber in self._subscribers:
            lag.add_metric((subscriber.name,), subscriber.lag)
            age.add_metric((subscriber.name,), subscriber.lag_age_seconds)
            parked.add_metric((subscriber.name,), subscriber.parked)
            stalled.add_metric((subscriber.name,), bool(subscriber.stalled))
            paused.add_metric((subscriber.name,), subscriber.paused)
        yield from (lag, age, parked, stalled, paused)
