"""A command that cannot be encoded fails alone: its neighbours in the batch are carried out."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.refusals import Unavailable
from innkeeper.protocol.reservations.commands import BookRoom, CancelBooking, ExtendHold
from innkeeper.protocol.reservations.replies import BookingReply
from support.partition_fixture import HOTEL, PartitionFixture, partition_fixture, request

TOO_LARGE = 2**70


@pytest.fixture
def partition(tmp_path: Path) -> Iterator[PartitionFixture]:
    """A partition with one hotel."""
    with partition_fixture(tmp_path / "journal.db") as opened:
        opened.open_hotel()
        yield opened


def test_a_keyed_command_that_cannot_be_encoded_fails_alone(partition: PartitionFixture) -> None:
    innocent = Envelope(BookRoom(HOTEL, request()), "innocent")
    guilty = Envelope(ExtendHold(HOTEL, "none", TOO_LARGE), "guilty")
    first, second, third = partition.host.handle([innocent, guilty, Envelope(BookRoom(HOTEL, request()))])
    assert isinstance(first.response, BookingReply)
    assert isinstance(second.response, Unavailable)
    assert isinstance(third.response, BookingReply)


def test_a_command_whose_events_cannot_be_encoded_fails_alone(partition: PartitionFixture) -> None:
    guilty = CancelBooking(HOTEL, partition.book().id, "half a pair of surrogates: \ud800")
    first, second = partition.host.handle([Envelope(BookRoom(HOTEL, request())), Envelope(guilty)])
    assert isinstance(first.response, BookingReply)
    assert not isinstance(second.response, BookingReply)
