"""The actor of a room: accepts or refuses each claim on its nights, so that no night is held twice."""

from innkeeper.actors.reservations.messages import Claim, ClaimDone, ClaimRefused, OpenRoom
from innkeeper.actors.reservations.rules.calendar import Claimed
from innkeeper.actors.system.typed_actor import TypedActor
from thespian.actors import ActorAddress


class RoomActor(TypedActor):
    """One room. The taken nights are the bits of an integer, counted from `origin`, the day of the last claim."""

    def __init__(self) -> None:
        super().__init__()
        self.number = ""
        self.origin = 0
        self.taken = 0
        self.holders: dict[str, Claimed] = {}

    def open(self, message: OpenRoom, _: ActorAddress) -> None:
        """Starts with the stays that hold the room."""
        self.number = message.number
        self.origin = message.today
        for stay in message.holders:
            self._take(stay)

    def claim(self, message: Claim, hotel: ActorAddress) -> None:
        """Releases the given nights first, and refuses the whole claim where a night to take is not free then."""
        if message.today > self.origin:
            self._roll(message.today)
        given = [self.holders[booking] for booking in message.releases if booking in self.holders]
        taken = self.taken
        for stay in given:
            taken &= ~self._nights(stay)
        for stay in message.claims:
            nights = self._nights(stay)
            if taken & nights:
                self.send(hotel, ClaimRefused(self.number))
                return
            taken |= nights
        for stay in given:
            del self.holders[stay[2]]
        self.taken = taken
        for stay in message.claims:
            self.holders[stay[2]] = stay
        self.send(hotel, ClaimDone(self.number))

    def _nights(self, stay: Claimed) -> int:
        first = max(stay[0] - self.origin, 0)
        return (1 << max(stay[1] - self.origin, first)) - (1 << first)

    def _take(self, stay: Claimed) -> None:
        self.taken |= self._nights(stay)
        self.holders[stay[2]] = stay

    def _roll(self, today: int) -> None:
        self.taken >>= today - self.origin
        self.origin = today
        self.holders = {booking: stay for booking, stay in self.holders.items() if stay[1] > today}


RoomActor.handles = {OpenRoom: RoomActor.open, Claim: RoomActor.claim}
