"""The names under which events are found at a broker, and messages that no service can handle.

They are part of the interface: other systems bind queues to the exchange and subscribe to the topic. Those therefore
have the installation's name, which the operator chooses. Queues and consumer groups also have its id, so that two
installations never share one, whatever their names.
"""

from typing import Final, NamedTuple

from innkeeper.protocol.values.installation import Installation

REASON_HEADER: Final = "innkeeper-reason"
GROUP_HEADER: Final = "innkeeper-group"
PLACE_HEADER: Final = "innkeeper-place"
INSTALLATION_HEADER: Final = "innkeeper-installation"
TIMELINE_HEADER: Final = "innkeeper-timeline"


class BrokerNames(NamedTuple):
    """The names of one installation, and the headers of what it publishes."""

    installation: Installation

    @property
    def events(self) -> str:
        """The exchange or topic of all events."""
        return f"{self.installation.name}.events"

    @property
    def dead_exchange(self) -> str:
        """The exchange of the messages that no service can handle."""
        return f"{self.installation.name}.dead"

    @property
    def dead_topic(self) -> str:
        """The topic of the messages that no service can handle."""
        return f"{self.installation.name}.events.dead"

    def consumer(self, service: str) -> str:
        """Returns the name of a service's queue, or of its consumer group."""
        return f"{self.installation.name}.{self.installation.short_id}.{service}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of each message that the installation publishes."""
        return {INSTALLATION_HEADER: self.installation.id, TIMELINE_HEADER: self.installation.timeline}

    def refusal(self, installation: str, timeline: str) -> str:
        """Returns why a message is not one of this installation's present timeline; empty where it is. Both are the ids
        in its headers, or empty where it has none."""
        if installation == self.installation.id:
            if timeline == self.installation.timeline:
                return ""
            return f"the message is of the timeline {timeline:.64}, which ended: the journals were restored since then"
        if not installation:
            return f"the message has no header {INSTALLATION_HEADER}, so it may be another installation's"
        return f"the message is of the installation {installation:.64}, not of {self.installation.id}"
