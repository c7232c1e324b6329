"""The hotels of an installation with several partitions, some in each."""

from aiohttp import ClientSession
from innkeeper.protocol.values.contexts import partition_of
from support.gateway import hotel_request
from support.installation import Installation

PARTITIONS = 4
HOTELS = ("north", "south", "east", "west", "harbour", "mill", "quay", "abbey")


async def open_hotels(installation: Installation, rooms: int = 40) -> None:
    """Open hotels in all partitions."""
    assert len({partition_of(hotel, PARTITIONS) for hotel in HOTELS}) == PARTITIONS
    async with ClientSession(installation.url) as session:
        for hotel in HOTELS:
            async with session.post("/v1/hotels", json=hotel_request({"DBL": rooms}, id=hotel)) as response:
                assert response.status == 201, await response.text()
