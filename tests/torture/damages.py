"""The table of damages: what is done to which file of which data directory."""

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import NamedTuple

from torture.history import History, files_of
from torture.places import Places, places_of

FLIP = "flip"
_MANY = (": rows", ": keys", "content", "pages", "frame headers")  # kinds of places that get three times as many flips


class Case(NamedTuple):
    """One damage: what is done (`kind`) to the files that match a pattern, in a copy of which data directory. `place`
    is where in the file, if it matters. Everything else follows from the number and the seed."""

    number: int
    kind: str
    data: str
    file: str
    place: str = ""
    seed: int = 0

    @property
    def id(self) -> str:
        """What it is chosen by on the command line."""
        return f"{'flip' if self.kind == FLIP else 'file'}-{self.number}"

    def __str__(self) -> str:
        """How it is named in reports."""
        return f"{self.kind} {self.data}/{self.file}{f': {self.place}' if self.place else ''}"


def apply(case: Case, data: Path, history: History) -> None:
    """Damage this copy of a data directory."""
    names = [name for name in files_of(data) if fnmatch(name, case.file)]
    assert names, case
    for name in names:
        _DAMAGES[case.kind](data / name, case._replace(file=name), history)


def _flip(file: Path, case: Case, _: History) -> None:
    random = Random(f"{case.seed} {case.number}")
    places = random.choice(list(filter(None, places_of(file)[case.place])))
    content = bytearray(file.read_bytes())
    content[random.choice(places)] ^= 1 << random.randrange(8)
    file.write_bytes(content)


def _delete(file: Path, _case: Case, _history: History) -> None:
    file.unlink()


def _empty(file: Path, _case: Case, _history: History) -> None:
    file.write_bytes(b"")


def _halve(file: Path, _case: Case, _history: History) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _shorten(file: Path, _case: Case, _history: History) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _zero_page(file: Path, case: Case, _: History) -> None:
    """As a disk that lost a block."""
    content = bytearray(file.read_bytes())
    start = 4096 * Random(f"{case.seed} {case.number}").randrange(len(content) // 4096)
    content[start : start + 4096] = bytes(4096)
    file.write_bytes(content)


def _take(source: str) -> Callable[[Path, Case, History], None]:
    """Replaces the file with that of another data directory; it is deleted where that one has none."""

    def take(file: Path, case: Case, history: History) -> None:
        taken = history.data(source) / case.file
        file.unlink(missing_ok=True)
        if taken.exists():
            file.write_bytes(taken.read_bytes())

    return take


_DAMAGES: Mapping[str, Callable[[Path, Case, History], None]] = MappingProxyType(
    {
        FLIP: _flip,
        "delete": _delete,
        "empty": _empty,
        "halve": _halve,
        "shorten": _shorten,
        "zero a page of": _zero_page,
        "roll back": _take("earlier"),
        "mix in another's": _take("other"),
    }
)


def flips(history: History, count: int, seed: int) -> list[Case]:
    """So many flips, spread over all kinds of places of all files; of the killed program's only the write-ahead logs,
    as the other files are those of the stopped one's."""
    where = [*_places(history, "stopped", ""), *_places(history, "killed", "-wal")]
    where += [each for each in where if each[2].endswith(_MANY)] * 2
    Random(seed).shuffle(where)
    return [Case(number, FLIP, *where[number % len(where)], seed) for number in range(count)]


def _places(history: History, name: str, ending: str) -> Iterator[tuple[str, str, str]]:
    for file in files_of(history.data(name)):
        if file.endswith(ending):
            found: Places = places_of(history.data(name) / file)
            yield from ((name, file, place) for place in found)


def whole_files(history: History, seed: int) -> list[Case]:
    """Each damage of whole files, to each file that it can be done to, and to groups of files."""
    cases: list[tuple[str, str, str]] = []
    for data, ending in (("stopped", ""), ("killed", "-wal")):
        for file in files_of(history.data(data)):
            if not file.endswith(ending):
                continue
            content = (history.data(data) / file).read_bytes()
            cases.append(("delete", data, file))
            cases += [(kind, data, file) for kind in ("empty", "halve", "shorten") if content]
            cases += [("zero a page of", data, file)] * 3 if len(content) >= 4096 and not ending else []
            for kind, source in (("roll back", "earlier"), ("mix in another's", "other")):
                other = history.data(source) / file
                if other.exists() and other.read_bytes() != content:
                    cases.append((kind, data, file))
    databases = [file for file in files_of(history.data("killed")) if file.endswith(".db")]
    # A file from a backup, put beside the write-ahead log that was there; and a log that vanishes with its service's.
    cases += [("roll back", "killed", name) for name in databases]
    cases += [("roll back", "killed", f"{name}*") for name in databases]
    for kind in ("roll back", "delete", *(["mix in another's"] if history.data("other").exists() else [])):
        cases += [(kind, "stopped", group) for group in ("*-0.db", "[!pv]*[!0].db", "*.key", "made/*")]
    cases += [("delete", "killed", "*-wal"), ("roll back", "stopped", "[bpv]*.db*"), ("delete", "stopped", "*.db*")]
    return [Case(number, *case, seed=seed) for number, case in enumerate(cases)]
