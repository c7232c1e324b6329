"""The aggregate type of reservations: the router of the hotels, and the fold and snapshot of a hotel."""

from innkeeper.actors.partition.aggregate_type import AggregateType
from innkeeper.actors.partition.router import Router
from innkeeper.actors.reservations.hotel import HotelActor
from innkeeper.actors.reservations.rules.state import HotelState, describe, recover, restore
from innkeeper.protocol.reservations.commands import OpenHotel
from innkeeper.protocol.reservations.queries import DescribeHotelState
from innkeeper.protocol.reservations.replies import HotelStateReply


class HotelRouter(Router):
    """Routes commands to hotels; `OpenHotel` creates the actor of a hotel."""

    actor_type = HotelActor
    opening_command = OpenHotel


HOTEL = AggregateType(
    router=HotelRouter,
    begin=HotelState,
    evolve=recover,
    describe=describe,
    restore=restore,
    is_open=lambda state: state.hotel is not None,
    query=DescribeHotelState,
    description=HotelStateReply,
)
"""A hotel with its rooms and bookings."""
