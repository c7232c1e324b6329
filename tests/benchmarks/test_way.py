"""One booking passes few files and functions of ours: a change that lengthens its way fails here."""

import re
import subprocess
import sys

import pytest
from support.paths import ROOT

# Files, functions and calls that every booking makes: 28, 91 and 122; 67, 263 and 1,178, as a booking that comes alone
# wakes each subscriber. On a busy machine the note of the journal's head, once a second, falls into the way of each.
LIMITS = {"until the response": (29, 92, 125), "until rest": (70, 271, 1_240)}
_LINE = re.compile(r"^(.*): (\d+) files, (\d+) functions, (\d+) calls$", re.MULTILINE)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="calls are counted on Python 3.11: later ones inline some")
def test_the_way_of_a_booking_is_short() -> None:
    command = [sys.executable, str(ROOT / "tests" / "benchmarks" / "way.py")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    measured = {name: tuple(map(int, numbers)) for name, *numbers in _LINE.findall(printed)}
    assert measured.keys() == LIMITS.keys(), printed
    for name, numbers in measured.items():
        assert all(0 < number <= limit for number, limit in zip(numbers, LIMITS[name], strict=True)), (name, numbers)
