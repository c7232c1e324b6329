"""Shows the consumer of a broker among the subscribers, so that one that receives nothing is seen and alerted on."""

from innkeeper.protocol.ports.inbox import BrokerConsumer, Inbox
from innkeeper.protocol.ports.subscriptions import EVERY_EVENT, SubscriberState


def consumer_state(service: str, consumer: BrokerConsumer, inbox: Inbox) -> SubscriberState:
    """Returns the state of the consumer that fills the inbox of this service: how far the inbox has the logs, how many
    events the logs have beyond it, and why the broker delivers nothing now. It cannot be paused."""
    positions = {name: log.position for name, log in inbox.logs.items()}
    lag = sum(log.lag for log in inbox.logs.values())
    return SubscriberState(
        f"consumer-{service}", EVERY_EVENT, positions, lag, paused=False, parked=0, stalled=consumer.fault
    )
