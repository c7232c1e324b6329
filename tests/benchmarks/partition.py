"""A partition without HTTP, run in a process of its own, so that its memory and time can be measured:

python partition.py write --folder DATA --bookings N     adds bookings to a journal, without snapshots
python partition.py snapshot --folder DATA               saves a snapshot of every hotel
python partition.py recover --folder DATA                rebuilds all hotels, and measures the time
python partition.py memory --bookings N                  books without a journal, and measures the growth of memory

Each prints one JSON object. Every booking stays live, which costs the most memory and the longest recovery.
"""

import argparse
import gc
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from random import Random
from time import perf_counter
from typing import cast

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgspec
from hotels import NIGHTS, ROOM_TYPES, hotel_request, stay
from innkeeper.actors.partition.host import Host
from innkeeper.protocol.messages.command import Command
from innkeeper.protocol.messages.envelope import Envelope
from innkeeper.protocol.messages.query import Query
from innkeeper.protocol.messages.recorded_event import RecordedEvent
from innkeeper.protocol.messages.reply import Reply
from innkeeper.protocol.ports.journal import Journal, Snapshot, SnapshotSet, StoredReply
from innkeeper.protocol.reservations.commands import BookRoom, OpenHotel
from innkeeper.protocol.reservations.queries import DescribeHotel
from innkeeper.protocol.reservations.requests import BookingRequest, HotelRequest
from innkeeper.protocol.values.contexts import RESERVATIONS
from innkeeper.protocol.values.guests import StoredGuest
from innkeeper.storage.data_directory import DataDirectory
from innkeeper.storage.sqlite.journal import SqliteJournal
from innkeeper.storage.sqlite.storage import SqliteStorage
from support.partition_fixture import HOTEL_TYPE, NOON
from tqdm import tqdm
from uuid_utils import uuid7

BATCH = 512
NIGHTS_MAX = 3


class NoJournal:
    """A journal that stores nothing, so that only the memory of the hotels is measured."""

    def __init__(self) -> None:
        self._position = 0

    def write(
        self, records: Sequence[RecordedEvent], replies: Sequence[StoredReply], guests: Sequence[StoredGuest] = ()
    ) -> int:
        self._position += len(records)
        return self._position

    def sync(self) -> None:
        pass

    def note_head(self) -> None:
        pass

    def position(self) -> int:
        return self._position

    def replies(self, keys: Collection[str]) -> dict[str, StoredReply]:
        return {}

    timeline = ""

    def hotels(self) -> set[str]:
        return set()

    def read(
        self, after: int = 0, hotel: str | None = None, after_hotel_seq: int = 0
    ) -> Iterator[tuple[int, RecordedEvent]]:
        return iter(())

    def places(self, after: int = 0) -> Iterator[tuple[int, str, int]]:
        return iter(())

    def snapshots(self, hotel: str | None = None) -> Iterator[Snapshot]:
        return iter(())

    def snapshot_set(self) -> SnapshotSet:
        return SnapshotSet()

    def save_snapshots(self, snapshots: Iterable[Snapshot], until: int = 0) -> None:
        pass

    def reopen(self) -> None:
        pass

    def close(self) -> None:
        pass


def host_on(journal: Journal) -> Host:
    """A host whose clock stands still."""
    return Host(journal, lambda: NOON, uuid7, HOTEL_TYPE)


def journal_in(folder: Path) -> SqliteJournal:
    """The journal of a data directory, which is made where it is missing, so that a server can go on with it."""
    storage = SqliteStorage(DataDirectory(folder))
    storage.installation()
    storage.locator_key()
    return storage.journal(RESERVATIONS)


def rooms_for(bookings: int, hotels: int) -> int:
    """Rooms per type, so that this many bookings fill about a third of what there is to sell."""
    nights = bookings * (1 + NIGHTS_MAX) / 2
    return max(100, round(3 * nights / (hotels * len(ROOM_TYPES) * NIGHTS)))


def open_all(host: Host, hotels: int, rooms: int, taxed: bool = False) -> None:
    """Open hotel-1, hotel-2, …, each with one tax where they are `taxed`."""
    for number in range(1, hotels + 1):
        name = f"hotel-{number}"
        body = msgspec.convert(hotel_request(name, dict.fromkeys(ROOM_TYPES, rooms), taxed), HotelRequest)
        _handle(host, [OpenHotel(name, body)])


def book(host: Host, bookings: int, hotels: int, seed: int) -> None:
    """Book this many random stays."""
    chance, guests = Random(seed), count(1)

    def random_booking() -> Command:
        body = stay(
            f"Guest {next(guests)} of {seed}",
            chance.randrange(NIGHTS),
            chance.randint(1, NIGHTS_MAX),
            chance.choice(ROOM_TYPES),
        )
        return BookRoom(f"hotel-{chance.randint(1, hotels)}", msgspec.convert(body, BookingRequest))

    with tqdm(total=bookings, unit=" bookings", disable=not sys.stderr.isatty(), leave=False) as bar:
        for start in range(0, bookings, BATCH):
            size = min(BATCH, bookings - start)
            _handle(host, [random_booking() for _ in range(size)])
            bar.update(size)


def _handle(host: Host, commands: Sequence[Command | Query]) -> None:
    results = host.handle([Envelope(command, None, "0197f000-benchmark", "benchmark") for command in commands])
    refused = [result.response for result in results if not isinstance(result.response, Reply)]
    if refused:
        raise RuntimeError(f"{len(refused)} were refused, the first: {refused[0]}")


def resident_bytes() -> int:
    """Memory of this process that is in RAM now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith("VmRSS:"))


def write(options: argparse.Namespace) -> dict[str, float]:
    """See the head of this file."""
    journal = journal_in(options.folder)
    host = host_on(journal)
    if journal.position():
        host.recover()
    else:
        open_all(host, options.hotels, rooms_for(options.bookings, options.hotels))
    start = perf_counter()
    book(host, options.bookings, options.hotels, journal.position())
    result = {"position": journal.position(), "seconds": perf_counter() - start}
    host.close()
    return result


def snapshot(options: argparse.Namespace) -> dict[str, float]:
    """See the head of this file."""
    journal = journal_in(options.folder)
    host = host_on(journal)
    host.recover()
    while host.must_drain:  # loads all hotels
        host.handle([])
    while host.save_snapshots(after_events=1):
        pass
    host.close()
    return {"position": journal.position()}


def recover(options: argparse.Namespace) -> dict[str, float]:
    """See the head of this file. The time runs from opening the journal until the first hotel has answered;
    `all_seconds` from then until all hotels are loaded, and `check_seconds` from then until all events are checked,
    without pauses."""
    start = perf_counter()
    host = host_on(journal_in(options.folder))
    events = host.recover()
    _handle(host, [DescribeHotel("hotel-1")])
    result = {"seconds": perf_counter() - start, "events": events, "position": host.journal.position()}
    start = perf_counter()
    while host.must_drain:
        host.handle([])
    result["all_seconds"] = perf_counter() - start
    start = perf_counter()
    for after in range(0, host.journal.position(), 1_000):
        host.journal.check(after, min(after + 1_000, host.journal.position()))
    result["check_seconds"] = perf_counter() - start
    host.close()
    return result


def memory(options: argparse.Namespace) -> dict[str, float]:
    """See the head of this file."""
    host = host_on(cast(Journal, NoJournal()))
    open_all(host, options.hotels, rooms_for(options.bookings, options.hotels), taxed=True)
    book(host, BATCH, options.hotels, 1)  # allocates what is needed only once
    gc.collect()
    before = resident_bytes()
    book(host, options.bookings, options.hotels, 2)
    gc.collect()
    grown = resident_bytes() - before
    host.close()
    return {"bookings": options.bookings, "bytes": grown, "bytes_per_booking": grown / options.bookings}


MEASURES = {"write": write, "snapshot": snapshot, "recover": recover, "memory": memory}


def main() -> None:
    """Take one measure, and print its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measure", choices=MEASURES)
    parser.add_argument("--folder", type=Path, default=Path("data"))
    parser.add_argument("--bookings", type=int, default=200_000)
    parser.add_argument("--hotels", type=int, default=20)
    options = parser.parse_args()
    print(json.dumps(MEASURES[options.measure](options)))


if __name__ == "__main__":
    main()
