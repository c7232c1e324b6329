"""The actor of a room: accepts or refuses each claim on its nights, so that no night is held twice."""

from innkeeper.actors.reservations.messages import (
    Claim,
    ClaimDone,
    ClaimRefused,
    DescribeRoom,
    OpenRoom,
    RoomDescribed,
    TakeBack,
)
from innkeeper.actors.reservations.rules.rooms import RoomState
from innkeeper.actors.system.typed_actor import TypedActor
from thespian.actors import ActorAddress


class RoomActor(TypedActor):
    """One room. What it knows comes from the events, not from the hotel's calendar."""

    def __init__(self) -> None:
        super().__init__()
        self.state = RoomState("")

    def open(self, message: OpenRoom, _: ActorAddress) -> None:
        """Starts with the stays that hold the room."""
        self.state = message.state

    def claim(self, message: Claim, hotel: ActorAddress) -> None:
        """Accepts the claim, or refuses it where another booking holds a night."""
        holder = self.state.claim(message.events, message.today)
        self.send(hotel, ClaimDone() if holder is None else ClaimRefused(self.state.number, holder))

    def take_back(self, _message: TakeBack, _: ActorAddress) -> None:
        """Undoes the latest claim."""
        self.state.take_back()

    def describe(self, message: DescribeRoom, hotel: ActorAddress) -> None:
        """Says what the room holds."""
        self.send(hotel, RoomDescribed(self.state.describe(message.today)))


RoomActor.handles = {
    OpenRoom: RoomActor.open,
    Claim: RoomActor.claim,
    TakeBack: RoomActor.take_back,
    DescribeRoom: RoomActor.describe,
}
