"""The service of billing: a partition of ledgers with a journal of its own, and the subscriber that fills them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import NamedTuple

from innkeeper.actors.billing.event_handler import BILLING_EVENT_TYPES, BillingEventHandler
from innkeeper.actors.billing.router import LEDGER
from innkeeper.actors.cluster.parts import Parts
from innkeeper.actors.partition import recovery
from innkeeper.actors.partition.opening import HostPorts, open_host
from innkeeper.actors.partition.partition import Partition
from innkeeper.actors.subscriptions.service import Handlers, Service
from innkeeper.protocol.ports.service_store import ServiceStore
from innkeeper.protocol.ports.subscriptions import SubscriptionRequest
from innkeeper.protocol.values.contexts import BILLING


class BillingPorts(NamedTuple):
    """What billing needs: its database, and the ports of its partition's host."""

    open_store: Callable[[str], AbstractContextManager[ServiceStore]]
    host: HostPorts


async def start_billing(parts: Parts, ports: BillingPorts) -> None:
    """Starts billing in this process, or connects to it. It ends when its partition ends."""
    if not parts.runs(BILLING):
        remote = parts.connect(BILLING)
        parts.buses[BILLING] = remote.client
        parts.add_log(BILLING, remote.client, remote.log)
        return
    partition = Partition(partial(open_host, ports.host, LEDGER), parts.clock, BILLING)

    @asynccontextmanager
    async def open_handlers(service: Service[ServiceStore], _: ServiceStore) -> AsyncIterator[Handlers]:
        await partition.start()
        ended = asyncio.create_task(partition.ended())
        service.needs(ended)
        try:
            handler = BillingEventHandler(partition)
            service.subscribe(SubscriptionRequest(BILLING, BILLING_EVENT_TYPES, derivable=True), handler.handle)
            yield {}
        finally:
            await partition.stop()
            await asyncio.wait({ended})

    await parts.start(Service(BILLING, parts.service_ports(BILLING, ports.open_store), open_handlers))
    parts.buses[BILLING] = partition
    parts.add_log(BILLING, partition, parts.exits.enter_context(ports.host.open_log()))


check_snapshots = partial(recovery.check_snapshots, aggregate_type=LEDGER)
"""Checks each snapshot in a journal of billing; see `recovery.check_snapshots`."""
