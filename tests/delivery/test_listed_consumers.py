"""A service that gets nothing from the broker is seen among the subscribers and in the metrics, without a password."""

from pathlib import Path
from urllib.parse import urlsplit

from support.consumer_checks import RECOVERY_SECONDS_MAX, split_gateway
from support.gateway import Gateway
from support.rabbitmq_queues import QUEUES
from support.tcp_proxy import tcp_proxy
from support.waiting import wait_until


def faults(server: Gateway) -> dict[str, str | None]:
    """Why the consumers receive nothing, by their names."""
    found = server.get("/v1/subscribers").json["data"]
    return {one["name"]: one["stalled"] for one in found if one["name"].startswith("consumer-")}


def test_consumers_are_listed_with_the_reason_why_they_receive_nothing(rabbitmq: str, tmp_path: Path) -> None:
    parts = urlsplit(rabbitmq)
    consumers = {f"consumer-{service}" for service in QUEUES}
    with tcp_proxy(str(parts.hostname), parts.port or 5672) as proxy:
        broker = f"amqp://{parts.username}:{parts.password}@127.0.0.1:{proxy.port}{parts.path}"
        with split_gateway(tmp_path, broker) as server:
            wait_until(lambda: faults(server) == dict.fromkeys(consumers), RECOVERY_SECONDS_MAX)
            proxy.disconnect()
            wait_until(lambda: all(faults(server).values()), RECOVERY_SECONDS_MAX)
            for reason in faults(server).values():
                assert str(reason).startswith("RabbitMQ at 127.0.0.1: ")
                assert f":{parts.password}@" not in str(reason)
            metrics = server.get("/metrics").body.decode()
            for consumer in consumers:
                assert f'innkeeper_subscriber_stalled{{subscriber="{consumer}"}} 1.0' in metrics
            proxy.accept_connections()
            wait_until(lambda: not any(faults(server).values()), RECOVERY_SECONDS_MAX)
            assert server.post("/v1/subscribers/consumer-billing/actions/pause", {}).status == 404
