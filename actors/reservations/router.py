"""The aggregate type of reservations: the router of the hotels, and the fold and snapshot of a hotel."""

from functools import partial

from innkeeper.actors.partition.aggregate_type import AggregateType
from innkeeper.actors.partition.router import Router
from innkeeper.actors.reservations.hotel import HotelActor
from innkeeper.actors.reservations.rules.state import (
    HotelState,
    add_details,
    describe,
    lacking_details,
    recover,
    restore,
)
from innkeeper.protocol.reservations.commands import OpenHotel
from innkeeper.protocol.reservations.queries import DescribeHotelState
from innkeeper.protocol.reservations.replies import HotelStateReply


class HotelRouter(Router):
    """Routes commands to hotels; `OpenHotel` creates the actor of a hotel."""

    actor_type = HotelActor
    opening_command = OpenHotel


def hotel_type(locator_key: bytes) -> AggregateType:
    """The type of a hotel with its rooms and bookings. Their locators follow from this key of the installation; without
    one, states can be rebuilt and compared, but no locator can be made."""
    return AggregateType(
        router=HotelRouter,
        begin=partial(HotelState, locator_key=locator_key),
        evolve=recover,
        describe=describe,
        restore=partial(restore, locator_key=locator_key),
        is_open=lambda state: state.hotel is not None,
        query=DescribeHotelState,
        description=HotelStateReply,
        lacking_details=lacking_details,
        add_details=add_details,
    )
