"""Opens the host of a partition: its journal, with every hotel rebuilt from it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from innkeeper.actors.partition.aggregate_type import AggregateType
from innkeeper.actors.partition.host import Host
from innkeeper.actors.system.actor_systems import OpenActorSystem
from innkeeper.actors.system.local_actor_system import LocalActorSystem
from innkeeper.protocol.ports.journal import Journal
from innkeeper.protocol.ports.subscriptions import EventLog


class HostPorts(NamedTuple):
    """What a host needs: its journal, opened in the thread that recovers it, clock and ids as inputs, and a progress
    bar for the recovery, which is called with how many events were read so far. `open_log` opens the journal to read
    the events that the host has written."""

    open_journal: Callable[[], Journal]
    open_log: Callable[[], AbstractContextManager[EventLog]]
    clock: Callable[[], int]
    ids: Callable[[], object]
    progress: Callable[[], AbstractContextManager[Callable[[int], None]]]
    open_system: OpenActorSystem = LocalActorSystem


def open_host(ports: HostPorts, aggregate_type: AggregateType) -> Host:
    """Returns a host with its hotels rebuilt from the journal; closes the journal where that fails."""
    journal = ports.open_journal()
    try:
        host = Host(journal, ports.clock, ports.ids, aggregate_type, ports.open_system)
        with ports.progress() as progress:
            host.recover(progress)
    except BaseException:
        journal.close()
        raise
    return host
