"""The taken nights of the rooms of one type.

For each night the calendar keeps one integer whose bit `i` says that room `i` is taken. The rooms free for a whole stay
are the zeros in the OR of its nights, and a night is sold out when all bits are set: both cost a few machine words,
even in a large hotel. The list starts at the business date (`origin`); past nights are removed from its front.

The calendar also keeps the stays of each room in order of arrival, to find those that overlap a given stay, and the
stays that have no room (`waiting`): on their nights one room less is left. `occupied` are the rooms with guests in them
now, as bits.
"""

from bisect import bisect_left, insort
from dataclasses import dataclass, field

from innkeeper.protocol.values.limits import arrival_days_ahead_max, availability_nights_max, stay_nights_max

# One night more than the latest departure, so that the night after a stay can be read too.
HORIZON = arrival_days_ahead_max + max(stay_nights_max, availability_nights_max) + 1

# (arrival, departure, booking): the nights that a booking holds, as ordinals of dates.
Claimed = tuple[int, int, str]


def _moved(rooms: int, here: int, there: int) -> int:
    """Rooms as bits, of which one has moved to another place."""
    rest = rooms >> here + 1 << here | rooms & (1 << here) - 1
    return rest >> there << there + 1 | (rooms >> here & 1) << there | rest & (1 << there) - 1


@dataclass(slots=True)
class Calendar:
    """The rooms of one type and the stays that hold them. Nights are ordinals of dates (`date.toordinal`). Rooms that
    were retired follow the others in `numbers`, and are none of `all_rooms`. `not_clean` are rooms, as bits, and
    `out_of_service` closures, each a room and its nights, by which rooms are given last."""

    origin: int
    numbers: list[str] = field(default_factory=list)
    all_rooms: int = 0
    taken: list[int] = field(default_factory=lambda: [0] * HORIZON)
    stays: list[list[Claimed]] = field(default_factory=list)
    waiting: list[Claimed] = field(default_factory=list)
    occupied: int = 0
    not_clean: int = 0
    out_of_service: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    shares: bool = False

    def add_room(self, number: str) -> None:
        """Adds a room, free on all nights, or one that was retired."""
        rooms = self.all_rooms.bit_count()
        if number in self.numbers[rooms:]:
            self._move_room(self.numbers.index(number), rooms)
        else:
            self.numbers.append(number)
            self.stays.append([])
            self._move_room(len(self.numbers) - 1, rooms)
        self.all_rooms = self.all_rooms << 1 | 1

    def retire_room(self, number: str) -> None:
        """Retires a room that nothing holds: it follows the others."""
        self._move_room(self.numbers.index(number), len(self.numbers) - 1)
        self.all_rooms >>= 1

    def remove_room(self, number: str) -> None:
        """Removes a room that was retired: it is of another type now."""
        self._move_room(self.numbers.index(number), len(self.numbers) - 1)
        self.numbers.pop()
        self.stays.pop()
        self.not_clean &= (1 << len(self.numbers)) - 1

    def _move_room(self, here: int, there: int) -> None:
        """Moves a room to another place; those between the two move by one."""
        if here == there:
            return
        self.numbers.insert(there, self.numbers.pop(here))
        self.stays.insert(there, self.stays.pop(here))
        self.taken = [_moved(rooms, here, there) for rooms in self.taken]
        self.occupied = _moved(self.occupied, here, there)
        self.not_clean = _moved(self.not_clean, here, there)
        self.out_of_service = {
            closure: (_moved(1 << room, here, there).bit_length() - 1, first, until)
            for closure, (room, first, until) in self.out_of_service.items()
        }

    def copy(self) -> "Calendar":
        """A copy for trial changes. It copies two short lists, and shares the lists of stays until it changes one."""
        copied = Calendar(self.origin, self.numbers, self.all_rooms, self.taken[:], self.stays[:], self.waiting[:])
        copied.occupied, copied.shares = self.occupied, True
        copied.not_clean, copied.out_of_service = self.not_clean, self.out_of_service
        return copied

    def wait(self, arrival: int, departure: int, booking: str) -> None:
        """Enters nights of the booking for which it has no room."""
        if departure > self.origin:
            insort(self.waiting, (arrival, departure, booking))

    def wait_no_more(self, booking: str) -> None:
        """Removes the nights for which the booking has no room."""
        self.waiting = [stay for stay in self.waiting if stay[2] != booking]

    def claim(self, room: int, arrival: int, departure: int, booking: str) -> None:
        """Enters the booking for the room on these nights. Nothing changes where they are past, or there are none."""
        if departure <= max(self.origin, arrival):
            return
        if self.shares:
            self.stays[room] = self.stays[room][:]
        insort(self.stays[room], (arrival, departure, booking))
        bit = 1 << room
        for night in range(max(arrival - self.origin, 0), departure - self.origin):
            self.taken[night] |= bit

    def vacate(self, room: int, booking: str) -> None:
        """Removes the booking from the room. Nothing changes where its nights are past."""
        gone = [stay for stay in self.stays[room] if stay[2] == booking]
        self.stays[room] = [stay for stay in self.stays[room] if stay[2] != booking]
        bit = 1 << room
        for stay in gone:
            for night in self._nights(stay):
                self.taken[night] &= ~bit
            for other in self.overlapping(room, stay[0], stay[1]):  # while guests change rooms, two may hold one room
                for night in self._nights(other):
                    self.taken[night] |= bit

    def _nights(self, stay: Claimed) -> range:
        return range(max(stay[0] - self.origin, 0), stay[1] - self.origin)

    def roll(self, origin: int) -> None:
        """Removes the nights before `origin`."""
        gone = min(origin - self.origin, HORIZON)
        self.taken = self.taken[gone:] + [0] * gone
        self.origin = origin
        self.out_of_service = {id_: one for id_, one in self.out_of_service.items() if one[2] > origin}
        self.stays = [[stay for stay in stays if stay[1] > origin] for stays in self.stays]
        self.waiting = [stay for stay in self.waiting if stay[1] > origin]

    def free_for(self, arrival: int, departure: int) -> int:
        """The rooms free on every one of these nights, as bits."""
        taken = 0
        for night in self.taken[max(arrival - self.origin, 0) : departure - self.origin]:
            taken |= night
        return self.all_rooms & ~taken

    def left(self, arrival: int, departure: int) -> list[int]:
        """The number of free rooms for each night."""
        rooms = self.all_rooms
        left = [(rooms & ~night).bit_count() for night in self.taken[arrival - self.origin : departure - self.origin]]
        for first, until, _ in self.waiting:
            for night in range(max(first, arrival) - arrival, min(until, departure) - arrival):
                left[night] = max(left[night] - 1, 0)
        return left

    def lacking(self, night: int) -> int:
        """How many rooms are missing on a night for the stays that have none."""
        waiting = sum(first <= night < until for first, until, _ in self.waiting)
        return max(waiting - (self.all_rooms & ~self.taken[night - self.origin]).bit_count(), 0)

    def sold_out(self, arrival: int, departure: int) -> list[int]:
        """The nights on which no room is free."""
        first = max(arrival, self.origin)
        if self.waiting:
            return [first + night for night, left in enumerate(self.left(first, departure)) if left == 0]
        nights = self.taken[first - self.origin : departure - self.origin]
        return [first + night for night, taken in enumerate(nights) if taken & self.all_rooms == self.all_rooms]

    def preferred(self, rooms: int, arrival: int, departure: int) -> int:
        """Those of the rooms that are given first: not out of service, and for an arrival today vacant and
        clean."""
        for position, first, until in self.out_of_service.values():
            if first < departure and arrival < until:
                rooms = rooms & ~(1 << position) or rooms
        if arrival <= self.origin:
            rooms = rooms & ~(self.occupied | self.not_clean) or rooms & ~self.occupied or rooms
        return rooms

    def best_fit(self, rooms: int, arrival: int, departure: int) -> int:
        """Of those that are given first, the room whose gap the stay fills best: both edges, else before, else after,
        else any; first of equals."""
        if arrival <= self.origin or self.out_of_service:
            rooms = self.preferred(rooms, arrival, departure)
        before = arrival - 1 - self.origin
        adjacent_before = rooms & self.taken[before] if before >= 0 else rooms
        adjacent_after = rooms & self.taken[departure - self.origin]
        choice = (adjacent_before & adjacent_after) or adjacent_before or adjacent_after or rooms
        return (choice & -choice).bit_length() - 1

    def overlapping(self, room: int, arrival: int, departure: int) -> list[Claimed]:
        """The stays in this room that share a night with [arrival, departure)."""
        stays = self.stays[room]
        first = bisect_left(stays, (arrival, 0, ""))
        if first and stays[first - 1][1] > arrival:
            first -= 1
        found = []
        for position in range(first, len(stays)):
            if stays[position][0] >= departure:
                break
            found.append(stays[position])
        return found
